// A job that is removed before anybody ran it will never run: its task is cancelled. So are those of its children, which go with it.
import { withoutTracing, type TaskId, type TaskKit } from '@afterspan/core/internal'
import { taskOf } from '../sending/bag.ts'
import { answersInOrder, clientOf, MOST_JOBS, pairsOf, readBefore, UNFINISHED } from '../redis-jobs/before.ts'
import { carrierOf, taskOfStored } from './carrier.ts'
import { cancelGone, type Doubtful } from './emptying.ts'
import type { BullMQ, Job, JobClass, Queue } from './shapes.ts'

const WAITING = new Set(['waiting', 'delayed', 'prioritized', 'waiting-children', 'paused'])

/** What goes with a job. */
interface Leaving {
  readonly taskId?: TaskId | undefined
  readonly children: readonly Doubtful[]
}

export function patchRemove({ Job, Queue }: BullMQ, kit: TaskKit): void {
  const cancel = (taskId: TaskId | undefined): void => {
    if (taskId) kit.settle(taskId, 'cancelled', 'aborted', 'broker')
  }
  kit.wrap(
    Job.prototype,
    'remove',
    (original) =>
      async function (this: Job, ...args) {
        const leaving = leavingWith(Job, this.queue, this.id)
        if (!answersInOrder(this.queue)) await leaving
        const result = await original.apply(this, args)
        const { taskId, children } = await leaving
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
        if (!answersInOrder(this.queue)) return original.apply(this, args)
        const leaving = leavingWith(Job, this.queue, this.id)
        const result = await original.apply(this, args)
        await cancelGone(kit, (await leaving).children)
        return result
      },
  )
  kit.wrap(
    Queue.prototype,
    'remove',
    (original) =>
      async function (this: Queue, ...args) {
        const leaving = leavingWith(Job, this, args[0])
        if (!answersInOrder(this)) await leaving
        const removed = await original.apply(this, args)
        const { taskId, children } = await leaving
        if (removed) cancel(taskId)
        await cancelGone(kit, children)
        return removed
      },
  )
}

/** Never rejects: what could not be asked is not told. The children of jobs in PostgreSQL have no keys to be found by. */
async function leavingWith(Job: JobClass, queue: Queue | undefined, id: string | undefined): Promise<Leaving> {
  if (!queue?.toKey || !id) return { children: [] }
  if (!answersInOrder(queue)) return { taskId: await waitingTask(Job, queue, id), children: [] }
  const keys = [queue.toKey(id), queue.toKey('active')]
  const [own, ...children] = await readBefore(queue, UNFINISHED, keys, [id, String(MOST_JOBS)])
  const isGone = async (key: string): Promise<boolean> =>
    typeof (await (await clientOf(queue))?.hget?.(key, 'opts')) !== 'string'
  return {
    taskId: own ? taskOfStored(own) : undefined,
    children: pairsOf(children).flatMap(([key, opts]) => {
      const taskId = taskOfStored(opts)
      return taskId ? [{ taskId, isGone: () => isGone(key) }] : []
    }),
  }
}

async function waitingTask(Job: JobClass, queue: Queue, id: string): Promise<TaskId | undefined> {
  try {
    return await withoutTracing(async () => {
      const job = await Job.fromId(queue, id)
      const taskId = job && taskOf(carrierOf(job))
      return taskId && WAITING.has(await job.getState()) ? taskId : undefined
    })
  } catch {
    return undefined
  }
}
