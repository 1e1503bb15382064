// What a client of @confluentinc/kafka-javascript says when it is asked: the brokers through it, and it of itself. Its connections, its group
// and what it has fetched belong to librdkafka, and of all that only these few methods tell.
import { networkCode } from '../codes.ts'
import { PROTOCOL_CODES, Reachable, type Address, type Partition, type TopicsAnswer } from './kafka-topics.ts'

export interface Client {
  connect(options: unknown, done: unknown, ...rest: unknown[]): unknown
  getMetadata(options: MetadataOptions, done: (error: unknown, metadata?: Metadata) => void): void
  on(event: 'event.error', listener: (error: unknown) => void): unknown
  once(event: 'ready', listener: () => void): unknown
  readonly globalConfig?: Readonly<Partial<Record<'fetch.wait.max.ms' | 'max.poll.interval.ms', number>>>
  readonly _isConnected?: boolean
  readonly _isConnecting?: boolean
  readonly _isDisconnecting?: boolean
}
/** The rest of it is a native call each, answered at once. */
export interface Consumer extends Client {
  assignments(): readonly OfPartition[]
  getWatermarkOffsets(topic: string, partition: number): { readonly highOffset?: number }
  position(of: readonly OfPartition[]): readonly OfPartition[]
  /** NONE: it is in no group. */
  rebalanceProtocol(): string
  subscription(): readonly string[]
}
export interface OfPartition {
  readonly topic: string
  readonly partition: number
  readonly offset?: number
}
interface MetadataOptions {
  readonly allTopics: true
  readonly timeout: number
}
interface Metadata {
  readonly brokers: readonly (Address & { readonly id: number })[]
  readonly topics: readonly {
    readonly name: string
    readonly partitions: readonly {
      readonly leader: number
      readonly replicas: readonly number[]
      readonly isrs: readonly number[]
    }[]
  }[]
}

/** Local errors of librdkafka are below 0, those of the protocol above. */
const BY_NUMBER: Readonly<Record<number, string>> = {
  [-195]: 'connection_lost',
  [-193]: 'ENOTFOUND',
  [-187]: 'not_connected',
  [-185]: 'timeout',
  [-181]: 'tls',
  [-169]: 'auth_failed',
  3: PROTOCOL_CODES['UNKNOWN_TOPIC_OR_PARTITION']!,
  5: PROTOCOL_CODES['LEADER_NOT_AVAILABLE']!,
  29: PROTOCOL_CODES['TOPIC_AUTHORIZATION_FAILED']!,
  30: PROTOCOL_CODES['GROUP_AUTHORIZATION_FAILED']!,
  31: PROTOCOL_CODES['CLUSTER_AUTHORIZATION_FAILED']!,
  34: PROTOCOL_CODES['ILLEGAL_SASL_STATE']!,
  58: PROTOCOL_CODES['SASL_AUTHENTICATION_FAILED']!,
}
/** What the system says in the middle of a message of librdkafka. */
const IN_WORDS: readonly (readonly [RegExp, string])[] = [
  [/Connection refused/i, 'ECONNREFUSED'],
  [/Connection reset/i, 'ECONNRESET'],
  [/timed out/i, 'timeout'],
  [/host unreachable|no route to host/i, 'EHOSTUNREACH'],
]

const GRACE_MS = 1000

export function codeOf(error: unknown): string {
  const { code, message } = (error ?? {}) as { readonly code?: unknown; readonly message?: unknown }
  const words = IN_WORDS.find(([pattern]) => pattern.test(String(message)))?.[1]
  // That the way to a broker has ended is the least that is said of it.
  if (code === -195 && words !== undefined) return words
  return BY_NUMBER[Number(code)] ?? networkCode(error) ?? words ?? 'not_connected'
}

/** Whether librdkafka has given the client up: whatever is asked of it is refused from then on. */
export function isFatal(error: unknown): boolean {
  const { code, isFatal: fatal } = (error ?? {}) as { readonly code?: unknown; readonly isFatal?: unknown }
  return fatal === true || code === -150
}

/**
 * The metadata of `topics`. To ask for them by name, or for those that the client knows, lets a broker make them where they are not there; to
 * ask for all does not, and is what connect() does. `isDoubtful`: brokers that lead them are tried by a plain connection, since of its own the
 * client says nothing.
 */
export async function ask(
  client: Client,
  reachable: Reachable,
  given: { readonly timeoutMs: number; readonly isDoubtful: boolean; readonly topics: ReadonlySet<string> },
): Promise<TopicsAnswer & { readonly missing: readonly string[] }> {
  const startedAt = performance.now()
  const { brokers, topics: known } = await metadataOf(client, given.timeoutMs)
  const roundTripMs = Math.round((performance.now() - startedAt) * 10) / 10
  const own = known.filter(({ name, partitions: all }) => given.topics.has(name) && all.length > 0)
  const there = new Set(own.map(({ name }) => name))
  // A pattern is no name.
  const missing = [...given.topics].filter((name) => !there.has(name) && !name.startsWith('^'))
  const partitions = new Map<string, readonly Partition[]>(
    own.map(({ name, partitions: all }) => [
      name,
      all.map(({ leader, replicas, isrs }) => ({ leader, replicas, isr: isrs })),
    ]),
  )
  const leaders = new Set([...partitions.values()].flat().map(({ leader }) => leader))
  const leading = brokers.filter(({ id }) => leaders.has(id))
  const unreachable = given.isDoubtful ? await reachable.why(leading) : undefined
  return { roundTripMs, missing, topics: partitions, unreachable, minInSync: new Map() }
}

/** It holds a thread of libuv's pool until a broker answers or the time is over. */
function metadataOf(client: Client, timeoutMs: number): Promise<Metadata> {
  return new Promise((resolve, reject) => {
    const give = (error: unknown): void => reject(error as Error)
    // Others wait for their turn: that it ends by itself is not left to librdkafka alone.
    const timer = setTimeout(() => give(Object.assign(new Error('timed out'), { code: -185 })), timeoutMs + GRACE_MS)
    timer.unref()
    client.getMetadata({ allTopics: true, timeout: timeoutMs }, (error, metadata) => {
      clearTimeout(timer)
      if (error || !metadata) give(error)
      else resolve(metadata)
    })
  })
}
