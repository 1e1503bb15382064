import { isObject } from '../sending/bag.ts'

/** Runs that may take so long: where the time is over the library has failed the job, and its handler may go on for ever. */
export class TimeLimits<Job extends object> {
  readonly #ends = new WeakMap<Job, (error: unknown) => void>()
  /** What they were given up by. */
  readonly #over = new WeakSet<object>()

  /** As long as the work takes, or until its time is over. */
  limited<R>(job: Job, work: Promise<R>): Promise<R> {
    const { promise, reject } = Promise.withResolvers<never>()
    this.#ends.set(job, reject)
    return Promise.race([work, promise])
  }

  /** Nothing for a job without a limit. */
  isOver(job: Job, error: unknown): void {
    const end = this.#ends.get(job)
    if (!end) return
    if (isObject(error)) this.#over.add(error)
    end(error)
  }

  /** Whether an attempt failed by that: its handler may throw an error of the same kind. */
  hasEnded(error: unknown): boolean {
    return isObject(error) && this.#over.has(error)
  }
}
