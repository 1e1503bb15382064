// What the commands of Redis Streams say, and what Redis answers. Pure.

/** One entry as it was delivered. */
export interface Delivered {
  readonly stream: string
  readonly id: string
  /** How often it was delivered before, where Redis says so. */
  readonly deliveries?: number
}
export interface Read {
  readonly group: string
  readonly consumer: string
  /** Redis takes what it delivers for acknowledged. */
  readonly isNoAck: boolean
  /** Of which streams the consumer asks for what is its own already. */
  readonly again: ReadonlySet<string>
}

/** Words, ids and keys; of a reply too, which may be in buffers. */
export function textOf(value: unknown): string {
  return Buffer.isBuffer(value) ? value.toString() : String(value)
}

/** XREADGROUP GROUP <group> <consumer> [...] STREAMS <key> ... <id> ... */
export function readOf(args: readonly unknown[]): Read | undefined {
  const words = args.map(textOf)
  const at = words.findIndex((word, i) => i > 2 && word.toUpperCase() === 'STREAMS')
  const [, group, consumer] = words
  if (at < 0 || group === undefined || consumer === undefined) return undefined
  const named = words.slice(at + 1)
  const half = named.length / 2
  return {
    group,
    consumer,
    isNoAck: words.slice(3, at).some((word) => word.toUpperCase() === 'NOACK'),
    again: new Set(named.slice(0, half).filter((_, i) => named[half + i] !== '>')),
  }
}

/** The reply of XREADGROUP: lists of lists, or by stream. An entry that was deleted meanwhile has no fields, and is nothing to run. */
export function entriesRead(reply: unknown): Delivered[] {
  const streams: (readonly [unknown, unknown])[] = Array.isArray(reply)
    ? pairsOf(reply)
    : reply instanceof Map
      ? [...reply]
      : typeof reply === 'object' && reply !== null
        ? Object.entries(reply)
        : []
  return streams.flatMap(([stream, entries]) => entriesIn(textOf(stream), entries))
}

/** The reply of XCLAIM and, in the middle, of XAUTOCLAIM; with JUSTID ids alone. */
export function entriesClaimed(stream: string, command: string, reply: unknown): Delivered[] {
  return entriesIn(stream, command === 'xautoclaim' && Array.isArray(reply) ? reply[1] : reply)
}

/** RESP2 says [name, entries] of each, RESP3 mapped to a list name, entries, name, entries. */
function pairsOf(reply: readonly unknown[]): (readonly [unknown, unknown])[] {
  if (reply.every(Array.isArray)) return reply.map((pair) => pair as unknown as readonly [unknown, unknown])
  return reply.flatMap((name, i) => (i % 2 === 0 ? [[name, reply[i + 1]] as const] : []))
}

function entriesIn(stream: string, entries: unknown): Delivered[] {
  if (!Array.isArray(entries)) return []
  return entries.flatMap((entry: unknown): Delivered[] => {
    if (!Array.isArray(entry)) return entry === null ? [] : [{ stream, id: textOf(entry) }]
    const [id, fields, , deliveries] = entry as unknown[]
    if (id === null || fields === null) return []
    return [{ stream, id: textOf(id), ...(deliveries === undefined ? {} : { deliveries: Number(deliveries) }) }]
  })
}

/** XACK <key> <group> <id> ...; XACKDEL <key> <group> [KEEPREF|DELREF|ACKED] IDS <n> <id> ... */
export function acknowledged(
  command: string,
  args: readonly unknown[],
): { readonly group: string; readonly ids: Delivered[] } {
  const [stream = '', group = '', ...rest] = args.map(textOf)
  const ids = command === 'xackdel' ? rest.slice(rest.findIndex((word) => word.toUpperCase() === 'IDS') + 2) : rest
  return { group, ids: ids.map((id) => ({ stream, id })) }
}

/** 'orders:8731' → 'orders:*': keys with numbers in them are many, and a destination is one of few. */
export function destinationOf(key: string): string {
  if (!/\d/.test(key) && key.length <= LONGEST) return key
  return key
    .split(/([:./|])/)
    .map((token) => (isValue(token) ? '*' : token))
    .join('')
}
const LONGEST = 40

function isValue(token: string): boolean {
  const digits = token.replaceAll(/\D/g, '').length
  if (token.length > LONGEST || digits >= 4) return true
  return digits > 0 && (/^[\d_-]+$/.test(token) || (token.length >= 8 && /^[\da-f-]+$/i.test(token)))
}

/** What a task's message is called. */
export function messageId({ stream, id }: Delivered): string {
  return `${stream}/${id}`
}

/** By age: milliseconds and a number within them. */
export function isBefore(id: string, other: string): boolean {
  const [ms = 0, n = 0] = id.split('-').map(Number)
  const [otherMs = 0, otherN = 0] = other.split('-').map(Number)
  return ms < otherMs || (ms === otherMs && n < otherN)
}

/** A cluster has the command sent again elsewhere, or a little later. */
export function isRedirect(message: string): boolean {
  return /^(?:MOVED|ASK|TRYAGAIN|CLUSTERDOWN) /.test(message)
}
