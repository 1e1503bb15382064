// Whether a consumer of @confluentinc/kafka-javascript is in its group and gets on: by what it says each time it is looked at.
import type { ProbeResult } from '@afterspan/core/internal'
import type { Consumer, OfPartition } from './confluent-kafka-client.ts'
import { consumerObserved, judgeConsumer, type ConsumerOptions } from './kafka-consumer.ts'

export class PositionWatch {
  readonly #now: () => number
  readonly #rebalanceMs: number
  readonly #paused = new Set<string>()
  #positions = new Map<string, number>()
  #joiningAt: number | undefined
  #movedAt: number
  #fatalAt: number | undefined
  #hasMoved = false
  #lag = 0

  /** `rebalanceMs`: until a group is complete its members have no partitions. */
  constructor(now: () => number, rebalanceMs: number) {
    this.#now = now
    this.#rebalanceMs = rebalanceMs
    this.#movedAt = now()
  }

  fails(): void {
    this.#fatalAt ??= this.#now()
  }

  pauses(partitions: unknown, isPaused: boolean): void {
    for (const each of Array.isArray(partitions) ? (partitions as OfPartition[]) : [])
      if (isPaused) this.#paused.add(keyOf(each))
      else {
        this.#paused.delete(keyOf(each))
        // What was not looked at is not late.
        this.#movedAt = this.#now()
      }
  }

  /** It has got on since this was asked last. */
  seesWell(consumer: Consumer, options: ConsumerOptions): boolean {
    const { status } = this.judge(consumer, options)
    const hasMoved = this.#hasMoved
    this.#hasMoved = false
    return hasMoved && status === 'pass'
  }

  judge(consumer: Consumer, options: ConsumerOptions): ProbeResult {
    const now = this.#now()
    if (this.#fatalAt !== undefined)
      return judgeConsumer(
        { ...this.#facts(), hasJoined: false, crash: { ms: now - this.#fatalAt, restarts: false } },
        options,
      )
    const isOfGroup = consumer.subscription().length > 0
    const hasJoined = !isOfGroup || consumer.rebalanceProtocol() !== 'NONE'
    if (hasJoined) this.#joiningAt = undefined
    // One that took nothing for so long that its group has counted it out is not about to come.
    else this.#joiningAt ??= this.#lag > 0 ? this.#movedAt : now
    if (!hasJoined) return judgeConsumer({ ...this.#facts(), hasJoined, joiningMs: now - this.#joiningAt! }, options)
    const assigned = consumer.assignments()
    const lag = (this.#lag = this.#lagOf(consumer, assigned))
    // With nothing to do nothing need move.
    if (lag === 0) this.#movedAt = now
    const facts = { ...this.#facts(), hasJoined, stillMs: now - this.#movedAt }
    return judgeConsumer({ ...facts, observed: consumerObserved(assigned.length, lag) }, options)
  }

  #facts(): Parameters<typeof judgeConsumer>[0] {
    return {
      hasJoined: true,
      joiningMs: 0,
      rebalanceMs: this.#rebalanceMs,
      silentMs: 0,
      sessionMs: Number.POSITIVE_INFINITY,
      stillMs: 0,
      stillWhere: 'messages wait, and the consumer takes none',
      isUnproven: false,
      observed: {},
    }
  }

  /** By the ends that came with the last fetches; notes what has moved. */
  #lagOf(consumer: Consumer, assigned: readonly OfPartition[]): number {
    const positions = new Map<string, number>()
    const keys = new Set(assigned.map(keyOf))
    for (const key of this.#paused) if (!keys.has(key)) this.#paused.delete(key)
    let lag = 0
    for (const at of assigned.length > 0 ? consumer.position(assigned) : []) {
      const key = keyOf(at)
      // Below 0: it has taken nothing yet.
      const { offset = -1 } = at
      if (this.#positions.get(key) !== offset) this.#move()
      positions.set(key, offset)
      const { highOffset = -1 } = consumer.getWatermarkOffsets(at.topic, at.partition)
      if (offset >= 0 && highOffset > offset && !this.#paused.has(key)) lag += highOffset - offset
    }
    this.#positions = positions
    return lag
  }

  #move(): void {
    this.#movedAt = this.#now()
    this.#hasMoved = true
  }
}

function keyOf({ topic, partition }: OfPartition): string {
  return `${topic}/${partition}`
}
