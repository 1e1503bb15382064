// What the events of a consumer of kafkajs say of its work: whether it is in its group, and gets on with what it was given.
import type { ProbeResult } from '@afterspan/core/internal'
import { consumerObserved, judgeConsumer, type ConsumerOptions } from './kafka-consumer.ts'

/** Of kafkajs: an object with an `on`. */
export interface Emitting {
  on(event: string, listener: (event: { readonly payload?: Payload }) => void): unknown
}
interface Payload {
  readonly topic?: string
  readonly partition?: number
  readonly firstOffset?: string | null
  readonly offsetLag?: string
  readonly memberAssignment?: Readonly<Record<string, readonly number[]>>
  readonly restart?: boolean
  readonly error?: unknown
}
interface Crash {
  readonly at: number
  readonly restarts: boolean
  readonly inBatch: boolean
  readonly isRefused: boolean
}
interface BatchAtWork {
  readonly firstOffset: string | null | undefined
  movedAt: number
}

export class ConsumerWatch {
  readonly #now: () => number
  readonly #sessionMs: number
  readonly #rebalanceMs: number
  /** The app has called run(), and not stop(). */
  #isRunning = false
  #isEachMessage = false
  #joinedAt: number | undefined
  /** Since when it is to join. */
  #joiningAt = 0
  #heartbeatAt = 0
  #crash: Crash | undefined
  #partitions = 0
  /** Of each partition that is at work. */
  readonly #batches = new Map<string, BatchAtWork>()
  readonly #lags = new Map<string, number>()
  #isSeen = false

  constructor(now: () => number, given: { readonly sessionTimeout?: number; readonly rebalanceTimeout?: number }) {
    this.#now = now
    this.#sessionMs = given.sessionTimeout ?? 30_000
    this.#rebalanceMs = given.rebalanceTimeout ?? 60_000
  }

  follow(consumer: Emitting): void {
    const on = (event: string, then: (payload: Payload) => void): void => {
      consumer.on(`consumer.${event}`, ({ payload }) => then(payload ?? {}))
    }
    on('group_join', (payload) => this.#joined(payload))
    on('rebalancing', () => this.#leave())
    on('crash', ({ restart, error }) => {
      const inBatch = this.#batches.size > 0
      this.#crash = { at: this.#now(), restarts: restart === true, inBatch, isRefused: isRefusal(error) }
      this.#leave()
    })
    on('heartbeat', () => {
      this.#heartbeatAt = this.#now()
      this.#isSeen = true
      // Between two messages: the first is done. Within a batch of the app's own it says only that the app lives.
      if (this.#isEachMessage) this.#move()
    })
    on('fetch', () => (this.#isSeen = true))
    // By which its group knows that it is there, as by a heartbeat.
    on('commit_offsets', () => {
      this.#heartbeatAt = this.#now()
      this.#move()
    })
    on('start_batch_process', (payload) => this.#start(payload))
    on('end_batch_process', (payload) => {
      this.#batches.delete(keyOf(payload))
      this.#lags.set(keyOf(payload), Number(payload.offsetLag))
      this.#isSeen = true
      if (this.#crash && this.#joinedAt !== undefined) this.#crash = undefined
    })
  }

  runs(isEachMessage: boolean): void {
    this.#isRunning = true
    this.#isEachMessage = isEachMessage
    this.#crash = undefined
    this.#leave()
  }

  stops(): void {
    this.#isRunning = false
    this.#crash = undefined
    this.#leave()
  }

  get isRunning(): boolean {
    return this.#isRunning
  }

  /** It is to join, and waits for the others of its group: until then its connection gives no answers. */
  isJoining(forMs: number): boolean {
    return this.#isRunning && this.#joinedAt === undefined && !this.#crash && this.#now() - this.#joiningAt < forMs
  }

  /** Something has come from the brokers since this was asked last, and nothing is known that is not well. */
  seesWell(options: ConsumerOptions): boolean {
    const isSeen = this.#isSeen
    this.#isSeen = false
    return isSeen && this.#joinedAt !== undefined && this.judge(options).status === 'pass'
  }

  judge(options: ConsumerOptions): ProbeResult {
    if (!this.#isRunning) return { status: 'pass' }
    const now = this.#now()
    const hasJoined = this.#joinedAt !== undefined
    let stillMs = 0
    for (const { movedAt } of this.#batches.values()) stillMs = Math.max(stillMs, now - movedAt)
    const crash = this.#crash && { ...this.#crash, ms: now - this.#crash.at }
    const facts = {
      crash,
      hasJoined,
      joiningMs: now - this.#joiningAt,
      rebalanceMs: this.#rebalanceMs,
      silentMs: now - this.#heartbeatAt,
      sessionMs: this.#sessionMs,
      stillMs,
      stillWhere: 'the consumer works on one message or batch, and others wait',
      isUnproven: this.#crash?.inBatch === true,
      observed: this.#observed(),
    }
    return judgeConsumer(facts, options)
  }

  #observed(): NonNullable<ProbeResult['observed']> {
    if (this.#joinedAt === undefined) return {}
    let lag = 0
    for (const each of this.#lags.values()) if (each > 0) lag += each
    return consumerObserved(this.#partitions, lag)
  }

  #joined({ memberAssignment = {} }: Payload): void {
    this.#joinedAt = this.#now()
    this.#heartbeatAt = this.#joinedAt
    this.#isSeen = true
    this.#partitions = Object.values(memberAssignment).reduce((sum, { length }) => sum + length, 0)
    this.#lags.clear()
  }

  #leave(): void {
    this.#joinedAt = undefined
    this.#joiningAt = this.#now()
    this.#batches.clear()
  }

  #start(payload: Payload): void {
    const { firstOffset } = payload
    const known = this.#batches.get(keyOf(payload))
    // The same one again has not got on.
    if (known && known.firstOffset === firstOffset) return
    this.#batches.set(keyOf(payload), { firstOffset, movedAt: this.#now() })
  }

  #move(): void {
    for (const batch of this.#batches.values()) batch.movedAt = this.#now()
  }
}

/** The library wraps it in errors of its own, and keeps the words. */
function isRefusal(error: unknown): boolean {
  return /not authorized/i.test(String(error))
}

function keyOf({ topic, partition }: Payload): string {
  return `${topic}/${partition}`
}
