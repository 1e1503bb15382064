// Whose trace a request belongs to. Anybody can send a traceparent: into another's trace, with a flag that hides the request, with
// baggage that travels on. So it is taken from those who are trusted; the network peer decides, never a header.
import { BlockList, isIP, isIPv6 } from 'node:net'
import {
  isSpanContextValid,
  propagation,
  ROOT_CONTEXT,
  trace,
  type Context,
  type Link,
  type SpanContext,
} from '@opentelemetry/api'
import type { RequestHead } from './request-attributes.ts'

/** continue: the caller's trace goes on here. link: a trace of its own, with a link to the caller's. ignore: as if nothing had been sent. */
export type InboundPolicy = 'continue' | 'link' | 'ignore'
/** In the order of asking: the first that fits decides. */
export type InboundRules = readonly { readonly peers: string; readonly policy: InboundPolicy }[]

export interface Inbound {
  readonly context: Context
  readonly links: readonly Link[]
}
const NOTHING: Inbound = { context: ROOT_CONTEXT, links: [] }

/** Loopback and what is not routed in the internet: RFC 1918, 6598, 3927, 4193, 4291. */
const PRIVATE = [
  '127.0.0.0/8',
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  '169.254.0.0/16',
  '::1/128',
  'fc00::/7',
  'fe80::/10',
]
const POLICIES: readonly string[] = ['continue', 'link', 'ignore']
const MOST_KNOWN = 1_000

/** `policy`, or `peers=policy` with commas between; peers are `private`, an address, a CIDR block, or `*`. Undefined: not such a text. */
export function parseInboundRules(text: string): InboundRules | undefined {
  const rules: { peers: string; policy: InboundPolicy }[] = []
  for (const part of text.split(',')) {
    const [left = '', right] = part.split('=').map((word) => word.trim())
    const [peers, policy] = right === undefined ? ['*', left] : [left, right]
    if (!POLICIES.includes(policy) || !isPeers(peers)) return undefined
    rules.push({ peers, policy: policy as InboundPolicy })
  }
  return rules
}

function isPeers(peers: string): boolean {
  if (peers === '*' || peers === 'private') return true
  const [address = '', bits, ...more] = peers.split('/')
  const most = isIP(address) === 6 ? 128 : 32
  return (
    isIP(address) !== 0 && more.length === 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most))
  )
}

/** What is taken of the trace context of a request. `more`: headers that carry it too. */
export function createInbound(rules: InboundRules, more: readonly string[] = []): (request: RequestHead) => Inbound {
  const policyOf = createPolicy(rules)
  const carriesMore =
    more.length > 0
      ? (headers: RequestHead['headers']): boolean => more.some((name) => headers[name] !== undefined)
      : undefined
  return (request) => {
    const { headers, socket } = request
    const isCarried =
      headers['traceparent'] !== undefined ||
      headers['baggage'] !== undefined ||
      headers['b3'] !== undefined ||
      headers['x-b3-traceid'] !== undefined ||
      carriesMore?.(headers) === true
    if (!isCarried) return NOTHING
    const policy = policyOf(socket.remoteAddress)
    if (policy === 'ignore') return NOTHING
    // Against the root, never the active context: that may be the previous request's.
    const context = propagation.extract(ROOT_CONTEXT, headers)
    return policy === 'continue' ? { context, links: [] } : { context: ROOT_CONTEXT, links: linksTo(context) }
  }
}

function linksTo(context: Context): Link[] {
  const remote: SpanContext | undefined = trace.getSpanContext(context)
  return remote && isSpanContextValid(remote) ? [{ context: remote }] : []
}

/** By the address of the peer. One that cannot be told (a Unix socket, a socket that is gone) is private. Who fits nothing is linked. */
export function createPolicy(rules: InboundRules): (address: string | undefined) => InboundPolicy {
  // At the first request that carries anything: to read addresses Node compiles a large expression.
  let made: { readonly fits: (address: string) => boolean; readonly policy: InboundPolicy }[] | undefined
  const lists = (): NonNullable<typeof made> =>
    (made ??= rules.map(({ peers, policy }) => ({ fits: matcher(peers), policy })))
  const known = new Map<string, InboundPolicy>()
  return (address = '') => {
    let policy = known.get(address)
    if (policy) return policy
    policy = lists().find(({ fits }) => fits(plain(address)))?.policy ?? 'link'
    if (known.size < MOST_KNOWN) known.set(address, policy)
    return policy
  }
}

function matcher(peers: string): (address: string) => boolean {
  if (peers === '*') return () => true
  const list = new BlockList()
  for (const block of peers === 'private' ? PRIVATE : [peers]) {
    const [address = '', bits] = block.split('/')
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    if (bits === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(bits), family)
  }
  return (address) => {
    if (isIP(address) === 0) return peers === 'private'
    return list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
  }
}

/** An IPv4 address as a socket for both families tells it: ::ffff:10.0.0.1. A zone is no part of the address. */
function plain(address: string): string {
  const [bare = ''] = address.split('%')
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(bare)
  return mapped ? mapped[1]! : bare
}
