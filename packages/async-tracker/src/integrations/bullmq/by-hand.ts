// Jobs that the app gets and settles itself: worker.getNextJob(), or what a job that it settles fetches with that, and then
// job.moveToCompleted(), moveToFailed() and their like. The run lasts from the one to the other. A processor may settle its own job so
// too, and then what it returns says nothing.
import type { AttemptInfo, TaskKit } from '@afterspan/core/internal'
import { errorOf, HeldRuns, type How } from '../running/held-runs.ts'
import { carrierOf } from './carrier.ts'
import type { BullMQ, Job, Settling } from './shapes.ts'

/** What its processor has made of a job itself, while it runs. */
export type Moved = { how?: How }

/** `infoOf`: of a run of the job by whatever it was got by. `moved`: of jobs that a processor runs. */
export function patchByHand(
  { Job, Worker }: BullMQ,
  kit: TaskKit,
  infoOf: (job: Job) => AttemptInfo,
  moved: WeakMap<Job, Moved>,
): void {
  const held = new HeldRuns(kit)
  const begin = (job: Job): void => {
    held.begin(job, infoOf(job), carrierOf(job))
  }
  const fetched = (by: Job, result: unknown): void => {
    const [json, id] = Array.isArray(result) ? (result as unknown[]) : []
    if (typeof json === 'object' && json !== null && typeof id === 'string' && by.queue)
      begin(Job.fromJSON(by.queue, json, id))
  }
  kit.wrap(
    Worker.prototype,
    'getNextJob',
    (original) =>
      async function (this: unknown, ...args) {
        const job = await original.apply(this as never, args)
        if (job) begin(job)
        return job
      },
  )
  const settles = (
    method: keyof Settling,
    howOf: (args: readonly unknown[], result: unknown) => How | undefined,
  ): void => {
    kit.wrap(
      Job.prototype,
      method,
      (original) =>
        function (this: Job, ...args) {
          const end = held.endOf(this)
          const within = moved.get(this)
          if (!end && !within) return original.apply(this, args)
          return original.apply(this, args).then((result) => {
            const how = howOf(args, result)
            if (how && within) within.how = how
            if (how) end?.(how)
            if (end) fetched(this, result)
            return result
          })
        },
    )
  }
  settles('moveToCompleted', () => 'succeeded')
  settles('moveToFailed', ([error]) => ({ error }))
  settles('moveToDelayed', () => 'released')
  settles('moveToWait', () => 'released')
  settles('moveToWaitingChildren', (_, isWaiting) => (isWaiting ? 'released' : undefined))
}

/** What an attempt whose processor has returned fails by all the same. */
export function errorOfMoved({ how }: Moved): unknown {
  return how === undefined || how === 'succeeded' ? undefined : errorOf(how)
}
