// Who may see what on the admin listener. Loopback is decided by the socket alone; behind a local reverse proxy every socket is
// loopback, so a forwarding header takes the trust away.
import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { isIPv6 } from 'node:net'

const LOOPBACK_NAMES = new Set(['localhost', '127.0.0.1', '[::1]', '::1'])
/**
 * Bound to every address, the listener is meant for scrapers and kubelets. They come by an IP address, or by a name that is no web
 * page's, so that none can rebind it: one without a dot, as the services of Docker Compose have, or one of a domain for inner use.
 * Sources: RFC 6762 (local), ICANN SAC113 (internal), RFC 6761 (localhost); svc is that of a Kubernetes cluster, and no domain.
 */
const IP_ADDRESS = /^(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-f:.]+\])$/
const INNER_NAME = /^[a-z0-9_-]+$|\.(internal|local|localhost|svc)$/
const FORWARDED = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via']
const MOST_FAILURES_A_MINUTE = 10

export interface AccessSettings {
  /** The address that the listener is bound to. */
  readonly host: string
  /** Empty: no token opens anything. */
  readonly token: string
  /** More Host names to answer to. */
  readonly hosts: readonly string[]
}
export interface Access {
  /** A page in a browser must not reach the listener by a name of its own (DNS rebinding). */
  isHostAllowed(host: string | undefined): boolean
  isTrusted(remoteAddress: string | undefined, headers: IncomingHttpHeaders): boolean
}

export function createAccess(settings: AccessSettings, now: () => number = Date.now): Access {
  const names = new Set([...LOOPBACK_NAMES, ...[settings.host, ...settings.hosts].map((name) => inUrl(name))])
  const isOpenToAnyName = settings.host === '0.0.0.0' || settings.host === '::'
  const expected = settings.token.length >= 16 ? digest(settings.token) : undefined
  let failures: number[] = []
  let lastAllowed: string | undefined
  const isAllowed = (host: string): boolean => {
    const name = host.toLowerCase().replace(/:\d{1,5}$/, '')
    if (names.has(name)) return true
    return isOpenToAnyName && (IP_ADDRESS.test(name) || INNER_NAME.test(name))
  }
  return {
    isHostAllowed(host) {
      // No browser leaves it out; health checks by HTTP/1.0 do (HAProxy's).
      if (host === undefined) return true
      if (host === lastAllowed) return true
      if (!isAllowed(host)) return false
      lastAllowed = host
      return true
    },
    isTrusted(remoteAddress, headers) {
      const { authorization } = headers
      const given = authorization === undefined ? undefined : /^Bearer (.{1,4096})$/.exec(authorization)?.[1]
      if (given !== undefined) {
        failures = failures.filter((at) => at > now() - 60_000)
        if (expected === undefined || failures.length >= MOST_FAILURES_A_MINUTE) return false
        if (timingSafeEqual(digest(given), expected)) return true
        failures.push(now())
        return false
      }
      return isLoopback(remoteAddress) && !FORWARDED.some((name) => headers[name] !== undefined)
    },
  }
}

/** As a Host header has it: an IPv6 address in brackets, in its short form. */
function inUrl(name: string): string {
  const address = name.replace(/^\[(.*)\]$/, '$1')
  return isIPv6(address) && URL.canParse(`http://[${address}]`)
    ? new URL(`http://[${address}]`).hostname
    : name.toLowerCase()
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function isLoopback(address: string | undefined): boolean {
  if (address === undefined) return false
  return address === '127.0.0.1' || address === '::1' || /^(::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(address)
}
