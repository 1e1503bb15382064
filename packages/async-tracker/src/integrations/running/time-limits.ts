/** Runs that may take so long: where the time is over the library has failed the job, and its handler may go on for ever. */
export class TimeLimits<Job extends object> {
  readonly #ends = new WeakMap<Job, (error: unknown) => void>()

  /** As long as the work takes, or until its time is over. */
  limited<R>(job: Job, work: Promise<R>): Promise<R> {
    const { promise, reject } = Promise.withResolvers<never>()
    this.#ends.set(job, reject)
    return Promise.race([work, promise])
  }

  /** Nothing for a job without a limit. */
  isOver(job: Job, error: unknown): void {
    this.#ends.get(job)?.(error)
  }
}
