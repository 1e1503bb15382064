// Running: one attempt for each call of the processor; and what BullMQ decides of a job without asking it.
import { context, ROOT_CONTEXT } from '@opentelemetry/api'
import type { AttemptInfo, TaskKit } from '@afterspan/core/internal'
import { isReleased } from '../running/held-runs.ts'
import { whileStorable } from '../running/storable-run.ts'
import { isObject, taskOf } from '../sending/bag.ts'
import { errorOfMoved, patchByHand, type Moved } from './by-hand.ts'
import { carrierOf } from './carrier.ts'
import { tellParents } from './parents.ts'
import type { BullMQ, Job, Worker } from './shapes.ts'

type RunBy = Pick<Worker, 'name' | 'opts'>

const RATE_LIMITED = 'bullmq:rateLimitExceeded'

export function patchWorker(exports: BullMQ, kit: TaskKit): void {
  const { prototype } = exports.Worker
  const meaningOf = readErrors(exports)
  /** Whether the last attempt of a job was told as final. */
  const toldFinal = new WeakMap<Job, boolean>()
  const moved = new WeakMap<Job, Moved>()
  kit.wrap(
    prototype,
    'callProcessJob',
    (original) =>
      function (this: Worker, ...args) {
        const [job] = args
        const itself: Moved = {}
        moved.set(job, itself)
        const info = infoOf(this, job, (error, isLast) => {
          moved.delete(job)
          const outcome = isReleased(error) ? 'released' : meaningOf(error, this, job)
          toldFinal.set(job, outcome === 'failed' || (outcome === undefined && isLast))
          return outcome
        })
        return whileStorable(
          (run) => kit.attempt(info, carrierOf(job), run),
          () => original.apply(this, args),
          () => {
            moved.delete(job)
            return errorOfMoved(itself)
          },
        )
      },
  )
  kit.wrap(
    prototype,
    'emit',
    (original) =>
      function (this: Worker, ...args) {
        const [event, job] = args
        if (event === 'failed' && isObject(job)) tellFinal(kit, job as unknown as Job, toldFinal)
        return original.apply(this, args)
      },
  )
  const infoByHand = (job: Job): AttemptInfo => infoOf(job.queue!, job, (error) => meaningOf(error, job.queue!, job))
  patchByHand(exports, kit, infoByHand, moved)
  kit.wrap(
    prototype,
    'run',
    (original) =>
      function (this: Worker, ...args) {
        // The worker's loops must not carry the request that happened to start it for their whole life (bullmq#4731).
        return context.with(ROOT_CONTEXT, () => original.apply(this, args))
      },
  )
}

/** Final failures that no attempt told of: stalled too often, failed with a child, or a back-off strategy that gave up. */
function tellFinal(kit: TaskKit, job: Job, toldFinal: WeakMap<Job, boolean>): void {
  if (!job.finishedOn) return
  void tellParents(kit, job)
  if (toldFinal.get(job)) return
  const taskId = taskOf(carrierOf(job))
  const failure = { type: 'UnrecoverableError', message: job.failedReason ?? '' }
  if (taskId) kit.settle(taskId, 'failed', 'retries_exhausted', 'broker', failure)
}

function infoOf(
  worker: RunBy,
  job: Job,
  outcomeOf: (error: unknown, isLast: boolean) => 'failed' | 'released' | undefined,
): AttemptInfo {
  // Runs that stalled or were moved count for no attempt of BullMQ's; but they were runs, so each has a number and the most grows.
  const attempt = Math.max(job.attemptsStarted ?? 0, job.attemptsMade + 1)
  const maxAttempts = Math.max(job.opts.attempts ?? 1, 1) + attempt - (job.attemptsMade + 1)
  return {
    system: 'bullmq',
    destination: worker.name,
    name: job.name,
    attempt,
    maxAttempts,
    isAwaited: true,
    // A job that has failed for good runs again only where somebody has it retried, and may then be counted from 1 on again.
    isReturn: true,
    ...(job.id ? { messageId: job.id } : {}),
    outcomeOf: (error) => outcomeOf(error, attempt >= maxAttempts),
  }
}

/** As BullMQ reads what a processor throws: by class, or by name where the error comes from another copy. */
function readErrors(exports: BullMQ): (error: unknown, worker: RunBy, job: Job) => 'failed' | 'released' | undefined {
  const isA = (
    error: unknown,
    name: 'DelayedError' | 'UnrecoverableError' | 'WaitingChildrenError' | 'WaitingError',
  ) => {
    const Known = exports[name]
    return (Known !== undefined && error instanceof Known) || (isObject(error) && error['name'] === name)
  }
  return (error, { opts }, { attemptsStarted = 0, discarded }) => {
    if (isObject(error) && error['message'] === RATE_LIMITED) return 'released'
    if (isA(error, 'DelayedError') || isA(error, 'WaitingError') || isA(error, 'WaitingChildrenError'))
      return 'released'
    const isStartedTooOften = Boolean(opts?.maxStartedAttempts && opts.maxStartedAttempts <= attemptsStarted)
    return isA(error, 'UnrecoverableError') || discarded || isStartedTooOften ? 'failed' : undefined
  }
}
