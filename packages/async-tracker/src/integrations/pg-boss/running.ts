// Both ways to run a job: work() with a handler, fetch() by hand.
import { context, ROOT_CONTEXT } from '@opentelemetry/api'
import { isThenable, whileSettling } from '@afterspan/core/internal'
import { failureOf } from '../running/failure-of.ts'
import { isObject, type Fields } from '../sending/bag.ts'
import type { Boss, Job } from './boss.ts'
import { takeCarrier } from './carrier.ts'
import { endEarlier } from './expiries.ts'
import { errorOf, hold, type Held } from './held.ts'
import { onCall, type Patch } from './patch.ts'

/** Less than the shortest expiry, one second. */
const SLOW_MS = 100

type Handler = (jobs: readonly Job[], ...more: unknown[]) => unknown
interface Batch {
  readonly jobs: readonly Job[]
  /** The handler says of each job how it ended. */
  readonly isPerJob: boolean
  run(): unknown
}

export function patchWork(patch: Patch): void {
  onCall(patch, 'work', (original, self, args) => {
    const at = args.length > 2 ? 2 : 1
    const handler = args[at]
    const settings = at === 2 ? args[1] : undefined
    if (typeof handler !== 'function') return original.apply(self, args)
    const isPerJob = isObject(settings) && settings['perJobResults'] === true
    const tracked: Handler = (jobs, ...more) =>
      runBatch(patch, self, { jobs, isPerJob, run: () => (handler as Handler)(jobs, ...more) })
    // The worker's loop must not carry the request that happened to start it for its whole life.
    return context.with(ROOT_CONTEXT, () => original.apply(self, args.with(at, tracked)))
  })
}

/** Jobs taken by hand: the attempt lasts from fetch() until the app settles the job. */
export function patchFetch(patch: Patch): void {
  onCall(patch, 'fetch', async (original, self, args) => {
    const result = await original.apply(self, args)
    const jobs = Array.isArray(result) ? (result as Job[]) : []
    await Promise.all(jobs.map(({ id }) => endEarlier(patch.held.get(id))))
    // The app goes on from what this returns: all that it got is written together before.
    whileSettling(() => {
      for (const job of jobs) {
        const bag = takeCarrier(job)
        const attempt = hold(patch, self, job, true)
        attempt.told = patch.kit.attempt(attempt.info, bag, () => attempt.ended).catch(ignore)
        patch.watchExpiry(attempt)
      }
    })
    return result
  })
}

function runBatch(patch: Patch, self: Boss, batch: Batch): unknown {
  const { jobs } = batch
  const bags = jobs.map(takeCarrier)
  const attempts = jobs.map((job) => hold(patch, self, job))
  let result: unknown
  let thrown: { readonly error: unknown } | undefined
  const run = (): void => {
    try {
      result = batch.run()
      // Adopted once: a query builder runs each time that somebody calls its then().
      if (isThenable(result)) result = Promise.resolve(result)
    } catch (error) {
      thrown = { error }
    }
  }
  // The attempt ends by what pg-boss makes of the job, which is not always what the handler's promise says.
  const begin = (i: number, inside?: () => void): void => {
    const { info, ended } = attempts[i]!
    const told = patch.kit.attempt(info, bags[i]!, () => {
      inside?.()
      return ended
    })
    told.catch(ignore)
  }
  // A batch belongs to no single request: its handler runs in the context that pg-boss gives it.
  if (jobs.length === 1) begin(0, run)
  else {
    const last = jobs.length - 1
    // In one write, with the last of them, before the handler runs.
    whileSettling(() => {
      for (let i = 0; i < last; i++) begin(i)
    })
    begin(last)
    run()
  }
  if (thrown) {
    for (const attempt of attempts) attempt.fail(thrown.error)
    throw thrown.error
  }
  follow(batch, attempts, result)
  return result
}

function follow({ jobs, isPerJob }: Batch, attempts: readonly Held[], result: unknown): void {
  const settle = (value: unknown): void => {
    for (const [i, attempt] of attempts.entries())
      if (isPerJob) settleByResult(attempt, jobs[i]!, value)
      else attempt.succeed()
  }
  if (!(result instanceof Promise)) {
    settle(result)
    return
  }
  const unwatch = watchSignals(jobs, attempts)
  result.then(
    (value) => {
      unwatch()
      settle(value)
    },
    (error: unknown) => {
      unwatch()
      for (const attempt of attempts) attempt.fail(error)
    },
  )
}

/** With perJobResults the handler says of each job how it ended; silence is failure. */
function settleByResult(attempt: Held, { id }: Job, results: unknown): void {
  if (!Array.isArray(results)) {
    attempt.fail(failureOf('no_result', 'perJobResults handler must resolve with an array of job results'))
    return
  }
  const { status, output } = (results as (Fields | null)[]).findLast((item) => item?.['id'] === id) ?? {}
  if (status === 'completed') attempt.succeed()
  else if (status === 'failed') attempt.fail(errorOf(output))
  else if (status === 'deadletter') attempt.fail(errorOf(output), 'failed')
  else attempt.fail(failureOf('no_result', 'no disposition returned by handler'))
}

/** pg-boss gives a job up (time-out, shutdown, claim lost) while its handler still runs: then this attempt is over. */
function watchSignals(jobs: readonly Job[], attempts: readonly Held[]): () => void {
  const startedAt = performance.now()
  let done: AbortController | undefined
  const watch = (): void => {
    done = new AbortController()
    const seconds = Math.max(...jobs.map((job) => Number(job['expireInSeconds']) || 0))
    for (const [i, { signal }] of jobs.entries()) {
      const giveUp = (): void => {
        attempts[i]!.giveUp(givenUp(signal!, performance.now() - startedAt, seconds))
      }
      if (signal?.aborted) giveUp()
      else signal?.addEventListener('abort', giveUp, { once: true, signal: done.signal })
    }
  }
  // pg-boss aborts its signals after every batch, and listeners cost more than most jobs: only slow handlers have them.
  const timer = setTimeout(watch, SLOW_MS)
  timer.unref()
  return () => {
    clearTimeout(timer)
    done?.abort()
  }
}

function givenUp(signal: AbortSignal, afterMs: number, seconds: number): Error {
  const { reason } = signal as { reason: unknown }
  if (reason instanceof Error && reason.name === 'Error') return failureOf('claim_lost', reason.message)
  return afterMs >= seconds * 1000 - SLOW_MS
    ? failureOf('expired', `handler execution exceeded ${seconds}s`)
    : failureOf('shut_down', 'pg-boss shut down while active')
}

function ignore(): void {}
