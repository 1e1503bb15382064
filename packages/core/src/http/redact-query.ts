/** Names whose values never reach a span, compared without case, `-` and `_`. Documented in docs/redaction.md. */
export const SECRET_NAMES: readonly string[] = [
  'accesstoken',
  'apikey',
  'auth',
  'authorization',
  'awsaccesskeyid',
  'clientsecret',
  'code',
  'credential',
  'idtoken',
  'jwt',
  'key',
  'pass',
  'passwd',
  'password',
  'pwd',
  'refreshtoken',
  'secret',
  'session',
  'sessionid',
  'sig',
  'signature',
  'token',
  'xamzcredential',
  'xamzsecuritytoken',
  'xamzsignature',
  'xgoogcredential',
  'xgoogsignature',
]
const secret = new Set(SECRET_NAMES)

/** A query string without its '?', its secret values replaced. Input over 2,048 characters is cut first: the work is linear and bounded. */
export function redactQuery(query: string): string {
  const cut = query.length > 2048 ? query.slice(0, 2048) : query
  if (!cut.includes('=')) return cut
  return cut
    .split('&')
    .map((pair) => {
      const at = pair.indexOf('=')
      if (at < 1) return pair
      return secret.has(
        pair
          .slice(0, at)
          .toLowerCase()
          .replace(/[-_]|%5f|%2d/g, ''),
      )
        ? `${pair.slice(0, at)}=REDACTED`
        : pair
    })
    .join('&')
}
