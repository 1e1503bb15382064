// Jobs that the app gets and settles itself: queue.getNextJob() and queue.nextJobFromJobData(), then job.moveToCompleted() and its like.
// The run lasts from the one to the other. A queue that has handlers gets its jobs for these.
import type { AttemptInfo, TaskKit } from '@afterspan/core/internal'
import { HeldRuns, type How } from '../running/held-runs.ts'
import { isObject } from '../sending/bag.ts'
import { carrierOf } from './carrier.ts'
import type { Job, Queue } from './shapes.ts'

export type End = (how: How) => void

/** Returns how to end the run of a job, where it is one by hand; once. */
export function patchByHand(
  prototype: Queue,
  kit: TaskKit,
  infoOf: (job: Job) => AttemptInfo,
): (job: Job) => End | undefined {
  const held = new HeldRuns(kit)
  const begin = (job: Job): void => {
    held.begin(job, infoOf(job), carrierOf(job))
  }
  kit.wrap(
    prototype,
    'nextJobFromJobData',
    (original) =>
      function (this: Queue, ...args) {
        const next = original.apply(this, args)
        if (!next || Object.keys(this.handlers).length > 0) return next
        if (next instanceof Promise)
          return next.then((job: unknown) => {
            if (isObject(job)) begin(job as unknown as Job)
            return job
          })
        begin(next as Job)
        return next
      },
  )
  return (job) => held.endOf(job)
}
