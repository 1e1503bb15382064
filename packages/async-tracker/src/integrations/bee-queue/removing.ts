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
        const remove = async (): Promise<unknown> => {
          const taskId = await withoutTracing(() => waitingTask(this, jobId))
          const result = await original.call(this, jobId, ...args)
          if (taskId) kit.settle(taskId, 'cancelled', 'aborted', 'broker')
          return result
        }
        const removed = remove()
        // Whoever gave a callback does not look at the promise.
        if (typeof args[0] === 'function') removed.catch(() => {})
        return removed
      },
  )
  kit.wrap(
    prototype,
    'destroy',
    (original) =>
      function (this: Queue, ...args) {
        const tell = kit.empty({ system: 'bee-queue', destination: this.name })
        return original.apply(this, args).then((result) => {
          tell()
          return result
        })
      },
  )
}

/** Of a job that no worker has. Never rejects: what could not be asked is not told. */
async function waitingTask(queue: Queue, jobId: string): Promise<TaskId | undefined> {
  try {
    const job = await (queue.createJob({}).constructor as unknown as JobClass).fromId(queue, jobId)
    const taskId = job && taskOf(carrierOf(job))
    if (!taskId || (job.status !== 'created' && job.status !== 'retrying')) return undefined
    const active = await queue.getJobs('active', { start: 0, end: MOST_ACTIVE - 1 })
    return active.some(({ id }) => id === jobId) ? undefined : taskId
  } catch {
    return undefined
  }
}
