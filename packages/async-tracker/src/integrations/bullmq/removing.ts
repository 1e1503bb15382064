// A job that is removed before anybody ran it will never run: its task is cancelled.
import { withoutTracing, type TaskId, type TaskKit } from '@afterspan/core/internal'
import { taskOf } from '../sending/bag.ts'
import { carrierOf } from './carrier.ts'
import type { BullMQ, Job, Queue } from './shapes.ts'

const WAITING = new Set(['waiting', 'delayed', 'prioritized', 'waiting-children', 'paused'])

export function patchRemove({ Job, Queue }: BullMQ, kit: TaskKit): void {
  const cancel = (taskId: TaskId | undefined): void => {
    if (taskId) kit.settle(taskId, 'cancelled', 'aborted', 'broker')
  }
  kit.wrap(
    Job.prototype,
    'remove',
    (original) =>
      async function (this: Job, ...args) {
        const taskId = await withoutTracing(() => waitingTask(this))
        const result = await original.apply(this, args)
        cancel(taskId)
        return result
      },
  )
  kit.wrap(
    Queue.prototype,
    'remove',
    (original) =>
      async function (this: Queue, ...args) {
        const taskId = await withoutTracing(() => waitingTask(Job.fromId(this, args[0])))
        const removed = await original.apply(this, args)
        if (removed) cancel(taskId)
        return removed
      },
  )
}

async function waitingTask(found: Job | Promise<Job | undefined>): Promise<TaskId | undefined> {
  try {
    const job = await found
    const taskId = job && taskOf(carrierOf(job))
    return taskId && WAITING.has(await job.getState()) ? taskId : undefined
  } catch {
    return undefined
  }
}
