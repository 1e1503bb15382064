// What a consumer of @platformatic/kafka and its streams say of their work: whether it is in its group, and whether what waits is taken.
import type { ProbeResult } from '@afterspan/core/internal'
import { consumerObserved, judgeConsumer, type ConsumerOptions } from './kafka-consumer.ts'
import type { Client } from './platformatic-kafka-ask.ts'

export interface MessagesStream {
  readonly consumer: unknown
  readonly errored?: Error | null
  /** By `topic:partition`: the next one that it fetches. */
  readonly offsetsToFetch: ReadonlyMap<string, bigint | undefined>
  /** What was fetched, and the app has not taken yet. */
  readonly readableLength: number
  once(event: 'close', listener: () => void): unknown
}
/** By topic and partition. */
type Offsets = ReadonlyMap<string, readonly (bigint | undefined)[]>
interface OfTopic {
  readonly topic: string
  readonly partitions: number[]
}
export interface Consumer extends Client {
  readonly assignments: readonly { readonly topic: string; readonly partitions: readonly number[] }[] | null
  readonly topics: { readonly current: readonly string[] }
  isActive(): boolean
  listCommittedOffsets(options: { readonly topics: readonly OfTopic[] }): Promise<Offsets>
  listOffsets(options: {
    readonly topics: string[]
    readonly partitions: Readonly<Record<string, number[]>>
  }): Promise<Offsets>
}
export interface GroupOptions {
  readonly sessionTimeout?: number
  readonly rebalanceTimeout?: number
}

export class StreamsWatch {
  readonly #now: () => number
  readonly #isRefusal: (error: unknown) => boolean
  readonly #streams = new Set<MessagesStream>()
  #sessionMs = 60_000
  #rebalanceMs = 120_000
  /** The app has asked for it, and not left since. */
  #isMember = false
  #joinedAt: number | undefined
  #joiningAt = 0
  #heartbeatAt = 0
  #crashedAt: number | undefined
  #isRefused = false
  #isSeen = false
  #lag = 0
  /** How far the app has got with what was fetched, when that was looked at last. */
  #taken = 0n
  #movedAt = 0

  constructor(now: () => number, isRefusal: (error: unknown) => boolean = () => false) {
    this.#now = now
    this.#isRefusal = isRefusal
  }

  follow(consumer: Consumer): void {
    consumer.on('consumer:group:join', () => this.#joined())
    consumer.on('consumer:group:rebalance', () => this.#leave())
    consumer.on('consumer:group:leave', () => {
      this.#isMember = false
      this.#leave()
    })
    consumer.on('consumer:heartbeat:end', () => {
      this.#isSeen = true
      this.#heartbeatAt = this.#now()
      // The group protocol of Kafka 4 has heartbeats alone, also after partitions were taken.
      if (this.#joinedAt === undefined && consumer.isActive()) this.#joined()
    })
  }

  /** It asks to be of its group; what it said of that has been completed by the library. */
  joins({ sessionTimeout, rebalanceTimeout }: GroupOptions): void {
    this.#sessionMs = sessionTimeout ?? this.#sessionMs
    this.#rebalanceMs = rebalanceTimeout ?? this.#rebalanceMs
    if (!this.#isMember || this.#joinedAt !== undefined) this.#leave()
    this.#isMember = true
  }

  reads(stream: MessagesStream): void {
    this.#streams.add(stream)
    this.#isMember = true
    this.#crashedAt = undefined
    this.#movedAt = this.#now()
    // Of the error itself nobody here may hear: it would then be one that somebody has handled.
    stream.once('close', () => {
      this.#streams.delete(stream)
      // A loop that the app leaves ends its stream by an AbortError: it may read again, and is judged by what waits.
      if (stream.errored && stream.errored.name !== 'AbortError') {
        this.#crashedAt = this.#now()
        this.#isRefused = this.#isRefusal(stream.errored)
      }
    })
  }

  /** It waits for the others of its group: until then its connection gives no answers. */
  isJoining(forMs: number): boolean {
    return this.#isMember && this.#joinedAt === undefined && this.#now() - this.#joiningAt < forMs
  }

  /** A heartbeat has come back since this was asked last, and nothing is known that is not well. */
  seesWell(consumer: Consumer, options: ConsumerOptions): boolean {
    const isSeen = this.#isSeen
    this.#isSeen = false
    return isSeen && this.#joinedAt !== undefined && this.judge(consumer, options).status === 'pass'
  }

  /** How much more there is than was fetched, by the ends of the partitions; where nothing fetches, than the group has said it is done with. */
  async askLag(consumer: Consumer): Promise<void> {
    const mine = (consumer.assignments ?? []).filter(({ partitions }) => partitions.length > 0)
    this.#lag = 0
    if (!this.#isMember || mine.length === 0) return
    const topics = mine.map(({ topic, partitions }) => ({ topic, partitions: [...partitions] }))
    const ends = await consumer.listOffsets({
      topics: topics.map(({ topic }) => topic),
      partitions: Object.fromEntries(topics.map(({ topic, partitions }) => [topic, partitions])),
    })
    const committed = this.#streams.size === 0 ? await consumer.listCommittedOffsets({ topics }) : undefined
    const at = (topic: string, partition: number): bigint | undefined => {
      if (committed) return committed.get(topic)?.[partition]
      const all = [...this.#streams].map(({ offsetsToFetch }) => offsetsToFetch.get(`${topic}:${partition}`))
      return all.find((next) => next !== undefined)
    }
    let lag = 0n
    for (const { topic, partitions } of topics)
      for (const partition of partitions) {
        const end = ends.get(topic)?.[partition]
        const next = at(topic, partition)
        if (end !== undefined && next !== undefined && end > next && next >= 0n) lag += end - next
      }
    this.#lag = Number(lag)
  }

  judge({ assignments }: Consumer, options: ConsumerOptions): ProbeResult {
    if (!this.#isMember) return { status: 'pass' }
    const now = this.#now()
    const buffered = this.#look(now)
    const crash =
      this.#crashedAt === undefined
        ? undefined
        : { ms: now - this.#crashedAt, restarts: false, isRefused: this.#isRefused }
    const hasJoined = this.#joinedAt !== undefined && !crash
    const assigned = (assignments ?? []).reduce((sum, { partitions }) => sum + partitions.length, 0)
    const facts = {
      crash,
      hasJoined,
      joiningMs: now - this.#joiningAt,
      rebalanceMs: this.#rebalanceMs,
      silentMs: now - this.#heartbeatAt,
      sessionMs: this.#sessionMs,
      stillMs: now - this.#movedAt,
      stillWhere: 'messages wait, and the consumer takes none of them',
      isUnproven: false,
      observed: hasJoined ? consumerObserved(assigned, this.#lag + buffered) : {},
    }
    return judgeConsumer(facts, options)
  }

  /** What was fetched and not taken; it has moved where some of that was taken, or nothing waits there or at the brokers. */
  #look(now: number): number {
    let buffered = 0
    let fetched = 0n
    for (const { offsetsToFetch, readableLength } of this.#streams) {
      buffered += readableLength
      for (const next of offsetsToFetch.values()) fetched += next ?? 0n
    }
    const taken = fetched - BigInt(buffered)
    if (taken !== this.#taken || (buffered === 0 && this.#lag === 0)) this.#movedAt = now
    this.#taken = taken
    return buffered
  }

  #joined(): void {
    this.#isMember = true
    this.#joinedAt = this.#now()
    this.#heartbeatAt = this.#joinedAt
    this.#movedAt = this.#joinedAt
    this.#isSeen = true
  }

  #leave(): void {
    this.#joinedAt = undefined
    this.#joiningAt = this.#now()
  }
}
