// A job that is removed before anybody ran it will never run: its task is cancelled. So are those of its children, which go with it.
import { withoutTracing, type TaskId, type TaskKit } from '@afterspan/core/internal'
import { taskOf } from '../sending/bag.ts'
import { carrierOf } from './carrier.ts'
import { childrenOf, cancelGone } from './emptying.ts'
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
        const children = await childrenOf(this)
        const result = await original.apply(this, args)
        cancel(taskId)
        await cancelGone(kit, children)
        return result
      },
  )
  kit.wrap(
    Job.prototype,
    'removeUnprocessedChildren',
    (original) =>
      async function (this: Job, ...args) {
        const children = await childrenOf(this)
        const result = await original.apply(this, args)
        await cancelGone(kit, children)
        return result
      },
  )
  kit.wrap(
    Queue.prototype,
    'remove',
    (original) =>
      async function (this: Queue, ...args) {
        const job = await withoutTracing(() => Job.fromId(this, args[0])).catch(() => undefined)
        const taskId = job && (await withoutTracing(() => waitingTask(job)))
        const children = await childrenOf(job)
        const removed = await original.apply(this, args)
        if (removed) cancel(taskId)
        await cancelGone(kit, children)
        return removed
      },
  )
}

async function waitingTask(job: Job): Promise<TaskId | undefined> {
  try {
    const taskId = taskOf(carrierOf(job))
    return taskId && WAITING.has(await job.getState()) ? taskId : undefined
  } catch {
    return undefined
  }
}
