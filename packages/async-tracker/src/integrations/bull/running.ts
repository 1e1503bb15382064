// Running: one attempt for each call of a handler, a function's as well as a file's; and what Bull decides of a job without asking one.
import { context, ROOT_CONTEXT } from '@opentelemetry/api'
import type { AttemptInfo, TaskKit } from '@afterspan/core/internal'
import { errorOf } from '../running/held-runs.ts'
import type { Info } from '../running/message-handler.ts'
import { whileStorable } from '../running/storable-run.ts'
import { TimeLimits } from '../running/time-limits.ts'
import { isObject, taskOf } from '../sending/bag.ts'
import { carrierOf, stallsOf } from './carrier.ts'
import { patchByHand, type End } from './by-hand.ts'
import { sandboxed } from './sandbox.ts'
import type { Bull, Handler, Job, Queue } from './shapes.ts'

const STALLED = 'job stalled more than allowable limit'

/** Whether the last attempt of a job was told as final. */
const toldFinal = new WeakMap<Job, boolean>()
const limits = new TimeLimits<Job>()
/** What a handler has made of its own job itself, while it runs: then what it returns says nothing. */
const moved = new WeakMap<Job, { error?: unknown }>()

export function patchRunning({ Job, prototype }: Bull, kit: TaskKit): void {
  kit.wrap(
    prototype,
    'setHandler',
    (original) =>
      function (this: Queue, name, handler, ...args) {
        const result = original.call(this, name, handler, ...args)
        const isFile = typeof handler === 'string'
        const own = this.handlers[name]
        if (own) this.handlers[name] = followed(kit, isFile ? sandboxed(own) : own, isFile)
        return result
      },
  )
  kit.wrap(
    prototype,
    'process',
    (original) =>
      function (this: Queue, ...args) {
        // The loops must not carry the request that happened to start them for their whole life.
        return context.with(ROOT_CONTEXT, () => original.apply(this, args))
      },
  )
  kit.wrap(
    prototype,
    'emit',
    (original) =>
      function (this: Queue, ...args) {
        const [event, job, error] = args
        // Redis itself has failed it: no worker had it.
        if (event === 'failed' && isObject(job) && isObject(error) && error['message'] === STALLED)
          tellFailed(kit, job as unknown as Job, STALLED)
        return original.apply(this, args)
      },
  )
  patchSettling(Job.prototype, kit, patchByHand(prototype, kit, infoOf))
}

/** What Bull does with a job that a handler has run, and the app with one that it got by hand. */
function patchSettling(prototype: Job, kit: TaskKit, byHand: (job: Job) => End | undefined): void {
  kit.wrap(
    prototype,
    'moveToFailed',
    (original) =>
      async function (this: Job, ...args) {
        const [error] = args as [unknown]
        if (isTimeOut(error)) limits.isOver(this, error)
        const end = byHand(this)
        const within = moved.get(this)
        const result = await original.apply(this, args)
        end?.({ error })
        if (within) within.error = errorOf({ error })
        if (this.finishedOn && !end && !within && !toldFinal.get(this)) tellFailed(kit, this, this.failedReason)
        return result
      },
  )
  for (const method of ['moveToCompleted', 'moveToDelayed'] as const)
    kit.wrap(
      prototype,
      method,
      (original) =>
        function (this: Job, ...args) {
          const end = byHand(this)
          if (!end) return original.apply(this, args)
          return original.apply(this, args).then((result) => {
            end(method === 'moveToCompleted' ? 'succeeded' : 'released')
            return result
          })
        },
    )
}

function followed(kit: TaskKit, handler: Handler, isFile: boolean): Handler {
  return function (job, ...args) {
    const call = (): Promise<unknown> => handler.call(this, job, ...args)
    const run = job.opts.timeout ? () => limits.limited(job, call()) : call
    const attempt = (runs: () => unknown): unknown => kit.attempt(infoOf(job), carrierOf(job), runs)
    // What came from a child process has been JSON.
    if (isFile) return attempt(run) as Promise<unknown>
    const itself: { error?: unknown } = {}
    moved.set(job, itself)
    const errorOf = (): unknown => {
      moved.delete(job)
      return itself.error
    }
    return whileStorable(attempt, run, errorOf) as Promise<unknown>
  }
}

function isTimeOut(error: unknown): boolean {
  return isObject(error) && error['name'] === 'TimeoutError'
}

/** A final failure that no attempt told of. */
function tellFailed(kit: TaskKit, job: Job, message = ''): void {
  const taskId = taskOf(carrierOf(job))
  const failure = { type: 'Error', message }
  if (taskId) kit.settle(taskId, 'failed', 'retries_exhausted', 'broker', failure)
}

function infoOf(job: Job): AttemptInfo {
  // Runs that stalled count for no attempt of Bull's; but they were runs, so each has a number and the most grows.
  const stalls = stallsOf(job)
  const attempt = job.attemptsMade + 1 + stalls
  const maxAttempts = Math.max(job.opts.attempts ?? 1, 1) + stalls
  const info: Info = {
    system: 'bull',
    destination: job.queue.name,
    name: job.name,
    attempt,
    maxAttempts,
    isAwaited: true,
    // A job that has failed for good runs again only where somebody has it retried.
    isReturn: true,
    ...(stalls > 0 ? { isTakeover: true } : {}),
    ...(job.id ? { messageId: job.id } : {}),
    outcomeOf(error) {
      moved.delete(job)
      // Of several allowed runs the last: its retries are used up.
      if (limits.hasEnded(error) && maxAttempts === 1) info.failedAs = 'expired'
      toldFinal.set(job, job._discarded === true || attempt >= maxAttempts)
      return job._discarded ? 'failed' : undefined
    },
  }
  return info
}
