// A queue that is drained, cleaned or obliterated loses jobs that nobody will run, and BullMQ names none of them, or only their ids: so
// what waits is read before, and what is not there any more afterwards is cancelled.
import { withoutTracing, type TaskId, type TaskKit } from '@afterspan/core/internal'
import { taskOf } from '../sending/bag.ts'
import { carrierOf, storedCarrierOf } from './carrier.ts'
import type { BullMQ, Job, JobClass, Queue, RedisClient } from './shapes.ts'

/** Jobs that are read for one call. What goes beyond them stays open until nobody waits for it any more. */
const MOST_JOBS = 1_000
/** Of them at once: the app's own commands wait behind these. */
const AT_ONCE = 50

const WAITING = ['waiting', 'paused', 'prioritized'] as const
const AND_DELAYED = [...WAITING, 'delayed'] as const
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
          const waiting = states.length > 0 ? await waitingIn(Job, this, states) : []
          const result = await original.apply(this, args)
          await cancelGone(kit, waiting)
          return result
        },
    )
  }
  around('drain', ([isWithDelayed]) => (isWithDelayed ? AND_DELAYED : WAITING))
  around('clean', ([, , type]) => {
    const state = typeof type === 'string' ? CLEANED[type] : undefined
    return state ? [state] : []
  })
  // A parent that waits for its children stays.
  around('obliterate', () => AND_DELAYED)
}

/** Never rejects: what could not be asked is not told. */
async function waitingIn(Job: JobClass, queue: Queue, states: readonly string[]): Promise<readonly Doubtful[]> {
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

/** The children that a job still waits for, and theirs, in whatever queues. Those of PostgreSQL have no keys to be found by. */
export async function childrenOf(job: Job | undefined): Promise<readonly Doubtful[]> {
  try {
    const client = await clientOf(job?.queue)
    if (!job?.opts || typeof client?.hget !== 'function') return []
    const { unprocessed = [] } = await withoutTracing(() => job.getDependencies())
    return await each(unprocessed.slice(0, MOST_JOBS), async (key) => {
      const opts = await client.hget!(key, 'opts')
      const taskId = opts ? taskOf(storedCarrierOf({ opts: JSON.parse(opts) as unknown })) : undefined
      return taskId && { taskId, isGone: async () => typeof (await client.hget!(key, 'opts')) !== 'string' }
    })
  } catch {
    return []
  }
}

/** Of Redis; PostgreSQL has another. */
export async function clientOf(queue: Pick<Queue, 'backend' | 'client'> | undefined): Promise<RedisClient | undefined> {
  return queue?.client ?? queue?.backend?.queue?.client
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
