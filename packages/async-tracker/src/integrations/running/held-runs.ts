// Jobs that the app gets by hand: their runs last until it settles them.
import type { AttemptInfo, Carrier, TaskKit } from '@afterspan/core/internal'
import { failureOf } from './failure-of.ts'

export type How = { readonly error: unknown } | 'released' | 'succeeded'
interface Job {
  readonly id?: string
  readonly queue?: { toKey?(type: string): string }
}

/** Jobs that nobody settles would stay for ever: the oldest go first. */
const MOST_HELD = 10_000
const RELEASED = Symbol('released')

export class HeldRuns {
  readonly #kit: TaskKit
  readonly #ends = new Map<string, (how: How) => void>()

  constructor(kit: TaskKit) {
    this.#kit = kit
  }

  begin(job: Job, info: AttemptInfo, carrier: Carrier): void {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const outcomeOf: AttemptInfo['outcomeOf'] = (error) => (isReleased(error) ? 'released' : info.outcomeOf?.(error))
    this.#kit.attempt({ ...info, outcomeOf }, carrier, () => promise).catch(() => {})
    if (this.#ends.size >= MOST_HELD) this.#ends.delete(this.#ends.keys().next().value!)
    const key = keyOf(job)
    this.#ends.set(key, (how) => {
      this.#ends.delete(key)
      if (how === 'succeeded') resolve()
      else reject(errorOf(how))
    })
  }

  /** How to end the run of a job, where it is one by hand. */
  endOf(job: Job): ((how: How) => void) | undefined {
    return this.#ends.size > 0 ? this.#ends.get(keyOf(job)) : undefined
  }
}

/** By which an attempt ends that the app has not made a success. */
export function errorOf(how: Exclude<How, 'succeeded'>): unknown {
  return how === 'released' ? RELEASED : (how.error ?? failureOf('failed', 'failed by the app'))
}
export function isReleased(error: unknown): boolean {
  return error === RELEASED
}

/** The library's own: queues of one name may have several prefixes. */
function keyOf({ id = '', queue }: Job): string {
  return queue?.toKey?.(id) ?? id
}
