const MOST_IN = 2000
const MOST_OUT = 300
// Linear patterns only: drivers put into their messages what came from the other side.
const RULES: readonly (readonly [RegExp, string])[] = [
  [/[a-z][a-z0-9+.-]{1,20}:\/\/[^\s"']{1,1024}/gi, '…'],
  [/\b(Bearer|Basic)\s+[A-Za-z0-9+/=._~-]{4,}/gi, '$1 …'],
  [
    /\b(password|passwd|pwd|secret|token|api[_-]?key|authorization)(\s*[=:]\s*)(?!(?:Bearer|Basic) …)[^\s,;&]{1,256}/gi,
    '$1$2…',
  ],
  // Names of users, databases, roles, relations and hosts stand in quotes, in every driver that was looked at.
  [/"[^"]{0,512}"/g, '"…"'],
  [/'[^']{0,512}'/g, "'…'"],
  [/`[^`]{0,512}`/g, '`…`'],
  [/\b(user(?:name)?|database|dbname|role|host(?:name)?|server|db)(\s*[=:]\s*)[^\s,;)]{1,256}/gi, '$1$2…'],
  [
    /\b(user(?:name)?|database|role|host(?:name)?)\s+(?=[\w@.-]*[\w])(?!system\b|is\b|was\b|does\b|has\b|not\b|name\b|to\b|for\b|and\b|or\b|in\b)[\w@.-]{1,256}/gi,
    '$1 …',
  ],
  // After these words Node names the other side.
  [
    /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|ENOENT|EACCES)\s+[^\s,;)]{1,256}/g,
    '$1 …',
  ],
  [/[\w.+-]{1,256}@[\w.-]{1,256}(?::\d{1,5})?/g, '…'],
  [/\[?(?:[0-9a-f]{0,4}:){2,7}(?:[0-9a-f]{1,4}|\d{1,3}(?:\.\d{1,3}){3})?\]?(?::\d{1,5})?/gi, '…'],
  [/\b\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?\b/g, '…'],
  [/\b(?:[a-z0-9_](?:[a-z0-9_-]{0,62})\.)+[a-z][a-z0-9-]{1,62}(?::\d{1,5})?\b/gi, '…'],
  [/\blocalhost(?::\d{1,5})?\b/gi, '…'],
  [/\b[a-z][a-z0-9_-]{0,62}:\d{2,5}\b/gi, '…'],
  [/(?:\/[\w.@-]{1,128}){2,}/g, '…'],
]

/** Free text without hosts, addresses, users, databases, credentials and paths, at most 300 characters, on one line. Rather too much goes than too little. */
export function scrub(text: string): string {
  let out = text.length > MOST_IN ? text.slice(0, MOST_IN) : text
  out = out.replace(/[\s\u0000-\u001f\u007f]+/g, ' ').trim()
  for (const [pattern, by] of RULES) out = out.replace(pattern, by)
  return out.length > MOST_OUT ? `${out.slice(0, MOST_OUT - 1)}…` : out
}
