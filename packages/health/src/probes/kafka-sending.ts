// What the brokers of Kafka did not take of a producer, though they answer each question about its topics.
import type { ProbeResult } from '@afterspan/core/internal'
import { Refusals, withRefusal } from '../refusals.ts'

/** The rest is told by the topics themselves, or is the message's. */
const TOLD = new Set(['no_permission', 'under_min_isr'])

export class Sending {
  readonly #now: () => number
  readonly #refusals = new Refusals()
  #refusedAt = 0
  #wellAt = -1

  constructor(now: () => number) {
    this.#now = now
  }

  /** A call of the app's has ended. `topic`: the first that it was for. */
  ended(topic: string, code: string | undefined): void {
    if (code === undefined) {
      this.#wellAt = this.#now()
      this.#refusals.wentWell(topic)
    } else if (TOLD.has(code)) {
      if (this.#refusals.isEmpty) this.#refusedAt = this.#now()
      this.#refusals.failed(code, topic, this.#now())
    }
  }

  get isRefused(): boolean {
    return this.#refusals.lately(this.#now()) !== undefined
  }

  judge(brokers: ProbeResult): ProbeResult {
    const refusal = this.#refusals.lately(this.#now())
    const result = withRefusal(brokers, refusal, true)
    // One topic of several may be another's; where nothing at all goes through, the instance is of no use.
    const isAll = result !== brokers && refusal!.count > 1 && this.#wellAt < this.#refusedAt
    return isAll ? { ...result, status: 'fail' } : result
  }
}
