// A queue that is deleted or emptied loses jobs that nobody will run, and pg-boss names none of them: so what waits is read before, and
// what is not there any more afterwards is cancelled.
import { withoutTracing, type TaskId } from '@afterspan/core/internal'
import { isObject, taskOf } from '../sending/bag.ts'
import type { Boss, Job } from './boss.ts'
import { takeCarrier } from './carrier.ts'
import { onCall, type Patch } from './patch.ts'
import { inTime } from './turns.ts'

/** Jobs that are read for one call. What goes beyond them stays open until nobody waits for it any more. */
const MOST_JOBS = 1_000

const METHODS = ['deleteAllJobs', 'deleteQueue', 'deleteQueuedJobs'] as const

export function patchEmptying(patch: Patch): void {
  // As they are before others of ours take the carriers out.
  const { findJobs, getQueue, getQueueStats } = patch.boss
  const questions: Questions = { findJobs, getQueue, getQueueStats }
  for (const method of METHODS)
    onCall(
      patch,
      method,
      async (original, self, args) => {
        const [queue] = args
        const none: ReadonlyMap<string, TaskId> = new Map()
        const waiting = typeof queue === 'string' ? await inTime(waitingIn(questions, self, queue), none) : none
        const response = await original.apply(self, args)
        await cancelGone(patch, questions, { self, queue: String(queue), waiting })
        return response
      },
      true,
    )
}

/** Older versions lack some. */
type Questions = Partial<Pick<Boss, 'findJobs' | 'getQueue' | 'getQueueStats'>>

/** The tasks of jobs that nobody has begun. Never rejects. */
async function waitingIn(
  { findJobs, getQueueStats }: Questions,
  self: Boss,
  queue: string,
): Promise<ReadonlyMap<string, TaskId>> {
  const tasks = new Map<string, TaskId>()
  try {
    // Some versions know no limit: a queue of millions must not be read for this.
    const stats = await withoutTracing(() => getQueueStats?.call(self, queue))
    if (!findJobs || Number(isObject(stats) ? stats['queuedCount'] : 0) > MOST_JOBS) return tasks
    const found = await withoutTracing(() => findJobs.call(self, queue, { queued: true, limit: MOST_JOBS }))
    for (const job of Array.isArray(found) ? (found as Job[]) : []) {
      const taskId = taskOf(takeCarrier(job))
      if (taskId) tasks.set(job.id, taskId)
    }
  } catch {
    // there is no such queue, or it cannot be asked: the call itself will say so
  }
  return tasks
}

interface Emptied {
  readonly self: Boss
  readonly queue: string
  readonly waiting: ReadonlyMap<string, TaskId>
}

async function cancelGone({ find, kit }: Patch, { getQueue }: Questions, emptied: Emptied): Promise<void> {
  const { self, queue, waiting } = emptied
  if (waiting.size === 0) return
  try {
    const isThere = !getQueue || (await withoutTracing(() => getQueue.call(self, queue)))
    const cancel = async ([id, taskId]: readonly [string, TaskId]): Promise<void> => {
      if (!isThere || !(await find(self, queue, id))) kit.settle(taskId, 'cancelled', 'aborted', 'broker')
    }
    await Promise.all([...waiting].map(cancel))
  } catch {
    // the database is away: it is not known
  }
}
