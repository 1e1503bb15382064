// A queue that is drained, cleaned or obliterated loses jobs that nobody will run, and BullMQ names none of them, or only their ids: so
// what waits is read before, and what is not there any more afterwards is cancelled.
import { withoutTracing, type TaskId, type TaskKit } from '@afterspan/core/internal'
import { taskOf } from '../sending/bag.ts'
import { answersInOrder, MOST_JOBS, pairsOf, readBefore, WAITING } from '../redis-jobs/before.ts'
import { carrierOf, taskOfStored } from './carrier.ts'
import type { BullMQ, JobClass, Queue } from './shapes.ts'

/** Jobs that are asked for at once: the app's own commands wait behind these. */
const AT_ONCE = 50

const DRAINED = ['waiting', 'paused', 'prioritized'] as const
const AND_DELAYED = [...DRAINED, 'delayed'] as const
/** What clean() takes away that has not run to its end; what is active is told of by who runs it. */
const CLEANED: Readonly<Record<string, string>> = {
  wait: 'waiting',
  waiting: 'waiting',
  paused: 'paused',
  delayed: 'delayed',
  prioritized: 'prioritized',
}

/** A job that may go, and how to see whether it has gone. */
export interface Doubtful {
  readonly taskId: TaskId
  isGone(): Promise<boolean>
}

export function patchEmptying({ Job, Queue: { prototype } }: BullMQ, kit: TaskKit): void {
  const around = (
    method: 'clean' | 'drain' | 'obliterate',
    statesOf: (args: readonly unknown[]) => readonly string[],
  ): void => {
    kit.wrap(
      prototype,
      method,
      (original) =>
        async function (this: Queue, ...args) {
          const states = statesOf(args)
          const isRedis = answersInOrder(this)
          const waiting = isRedis ? waitingIn(this, states) : waitingByQuestions(Job, this, states)
          if (!isRedis) await waiting
          const result = await original.apply(this, args)
          await cancelGone(kit, await waiting)
          return result
        },
    )
  }
  around('drain', ([isWithDelayed]) => (isWithDelayed ? AND_DELAYED : DRAINED))
  around('clean', ([, , type]) => {
    const state = typeof type === 'string' ? CLEANED[type] : undefined
    return state ? [state] : []
  })
  // A parent that waits for its children stays.
  around('obliterate', () => AND_DELAYED)
}

/** Never rejects: what could not be asked is not told. Jobs beyond the most that are read stay open until nobody waits for them any more. */
async function waitingIn(queue: Queue, states: readonly string[]): Promise<readonly Doubtful[]> {
  if (states.length === 0 || !queue.toKey) return []
  const keys = states.map((state) => queue.toKey!(state === 'waiting' ? 'wait' : state))
  const found = await readBefore(queue, WAITING, keys, [queue.toKey(''), String(MOST_JOBS)])
  return pairsOf(found).flatMap(([id, opts]) => {
    const taskId = taskOfStored(opts)
    return taskId ? [{ taskId, isGone: async () => (await queue.getJobState(id)) === 'unknown' }] : []
  })
}

/** The same of PostgreSQL. */
async function waitingByQuestions(
  Job: JobClass,
  queue: Queue,
  states: readonly string[],
): Promise<readonly Doubtful[]> {
  if (states.length === 0) return []
  try {
    const ids = await withoutTracing(() => queue.getRanges(states, 0, MOST_JOBS - 1))
    return await each(ids.slice(0, MOST_JOBS), async (id) => {
      const job = await Job.fromId(queue, id)
      const taskId = job && taskOf(carrierOf(job))
      return taskId && { taskId, isGone: async () => (await queue.getJobState(id)) === 'unknown' }
    })
  } catch {
    return []
  }
}

export async function cancelGone(
  kit: TaskKit,
  jobs: readonly Doubtful[],
  reason: 'aborted' | 'deduplicated' = 'aborted',
): Promise<void> {
  if (jobs.length === 0) return
  try {
    await each(jobs, async ({ taskId, isGone }) => {
      if (await isGone()) kit.settle(taskId, 'cancelled', reason, 'broker')
    })
  } catch {
    // the connection is gone: it is not known
  }
}

/** A few at a time; what comes of each that is anything. */
async function each<T, R>(items: readonly T[], one: (item: T) => Promise<R | undefined>): Promise<NonNullable<R>[]> {
  const made: (R | undefined)[] = []
  for (let i = 0; i < items.length; i += AT_ONCE)
    made.push(...(await withoutTracing(() => Promise.all(items.slice(i, i + AT_ONCE).map(one)))))
  return made.filter((item) => item !== undefined && item !== null)
}
