// A job that is removed before anybody ran it will never run, nor will what a queue holds that is destroyed.
import { withoutTracing, type TaskId, type TaskKit } from '@afterspan/core/internal'
import { taskOf } from '../sending/bag.ts'
import { carrierOf } from './carrier.ts'
import type { JobClass, Queue } from './shapes.ts'

const MOST_ACTIVE = 1_000

export function patchRemoving(prototype: Queue, kit: TaskKit): void {
  kit.wrap(
    prototype,
    'removeJob',
    (original) =>
      function (this: Queue, jobId, ...args) {
        // Redis answers in the order that it is asked: nothing is held back until we know.
        const waiting = withoutTracing(() => waitingTask(this, jobId))
        const removed = original.call(this, jobId, ...args).then(async (result) => {
          const taskId = await waiting
          if (taskId) kit.settle(taskId, 'cancelled', 'aborted', 'broker')
          return result
        })
        return answer(removed, args)
      },
  )
  kit.wrap(
    prototype,
    'destroy',
    (original) =>
      function (this: Queue, ...args) {
        const tell = kit.empty({ system: 'bee-queue', destination: this.name })
        const destroyed = original.apply(this, args).then((result) => {
          tell()
          return result
        })
        return answer(destroyed, args)
      },
  )
}

/** Whoever gave a callback does not look at the promise. */
function answer<T>(promise: Promise<T>, [callback]: readonly unknown[]): Promise<T> {
  if (callback) promise.catch(() => {})
  return promise
}

/** Of a job that no worker has. All of it is asked at once. Never rejects: what could not be asked is not told. */
async function waitingTask(queue: Queue, jobId: string): Promise<TaskId | undefined> {
  try {
    const Job = queue.createJob({}).constructor as unknown as JobClass
    const [job, active] = await Promise.all([
      Job.fromId(queue, jobId),
      queue.getJobs('active', { start: 0, end: MOST_ACTIVE - 1 }),
    ])
    if (job?.status !== 'created' && job?.status !== 'retrying') return undefined
    return active.some(({ id }) => id === jobId) ? undefined : taskOf(carrierOf(job))
  } catch {
    return undefined
  }
}
