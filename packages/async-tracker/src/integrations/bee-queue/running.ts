// Running: one attempt for each call of the handler.
import { context, ROOT_CONTEXT } from '@opentelemetry/api'
import type { AttemptInfo, TaskKit } from '@afterspan/core/internal'
import { wordsOf } from '../running/failure-of.ts'
import type { Info } from '../running/message-handler.ts'
import { TimeLimits } from '../running/time-limits.ts'
import { taskOf } from '../sending/bag.ts'
import { carrierOf } from './carrier.ts'
import type { Handler, Job, Queue } from './shapes.ts'

/** Whether the last attempt of a job was told as final. */
const toldFinal = new WeakMap<Job, boolean>()
const limits = new TimeLimits<Job>()

export function patchRunning(prototype: Queue, kit: TaskKit): void {
  kit.wrap(
    prototype,
    'process',
    (original) =>
      function (this: Queue, ...args) {
        // The loop must not carry the request that happened to start it for its whole life.
        const result = context.with(ROOT_CONTEXT, () => original.apply(this, args))
        if (this.handler) this.handler = followed(kit, this.handler)
        return result
      },
  )
  kit.wrap(
    prototype,
    '_finishJob',
    (original) =>
      async function (this: Queue, error, data, job, ...args) {
        if (error) limits.isOver(job, error)
        const result = await original.call(this, error, data, job, ...args)
        // A back-off strategy gave up.
        const taskId = job.status === 'failed' && !toldFinal.get(job) ? taskOf(carrierOf(job)) : undefined
        if (taskId) kit.settle(taskId, 'failed', 'retries_exhausted', 'broker', wordsOf(error))
        return result
      },
  )
}

function followed(kit: TaskKit, handler: Handler): Handler {
  return function (job, ...args) {
    const run = (): Promise<unknown> => {
      const ended = Promise.resolve(handler.call(this, job, ...args)).then(undefined, (error: unknown) => {
        // What is rejected with nothing has succeeded, as bee-queue reads it.
        if (error) throw error
      })
      return job.options.timeout ? limits.limited(job, ended) : ended
    }
    return kit.attempt(infoOf(job), carrierOf(job), run)
  }
}

function infoOf(job: Job): AttemptInfo {
  const { name } = job.queue
  const { retries = 0, stacktraces = [] } = job.options
  const attempt = stacktraces.length + 1
  const maxAttempts = attempt + Math.max(retries, 0)
  const info: Info = {
    system: 'bee-queue',
    destination: name,
    name,
    attempt,
    maxAttempts,
    isAwaited: true,
    // A job that has failed for good runs again only where somebody has it retried.
    isReturn: true,
    ...(job.id ? { messageId: job.id } : {}),
    outcomeOf(error) {
      // Of several allowed runs the last: its retries are used up.
      if (limits.hasEnded(error) && maxAttempts === 1) info.failedAs = 'expired'
      // A handler may change its mind, and another process may know other strategies.
      const { retries: left = 0, backoff } = job.options
      const isLast = left <= 0 || !job.queue.backoffStrategies.has(backoff?.strategy ?? 'immediate')
      toldFinal.set(job, isLast)
      if (isLast === attempt >= maxAttempts) return undefined
      return isLast ? 'failed' : 'retrying'
    },
  }
  return info
}
