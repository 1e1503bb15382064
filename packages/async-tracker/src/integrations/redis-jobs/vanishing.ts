// Jobs whose queue has lost its data: FLUSHALL, a Redis that was restarted and had kept nothing, an obliterate by a script. Redis tells
// nobody, so it is asked now and then while jobs of this process wait. A job that is not there proves nothing: it may be done and
// removed, by a worker of which nothing is known. But each queue numbers its jobs, and its count never goes back while its data live.
import { withoutTracing, type TaskId, type TaskKit } from '@afterspan/core/internal'
import { Lookout, PACE, type Pace } from '../sending/lookout.ts'
import { clientOf } from './before.ts'
import type { RedisClient, RedisQueue } from './shapes.ts'

/** Of one queue, the newest. What goes beyond them stays open. */
const MOST_JOBS = 1_000
const MOST_QUEUES = 50
/** Of what is read for one job each: the app's own commands wait behind these. */
const AT_ONCE = 50
export interface SentJob {
  readonly id: string | undefined
  readonly taskId: TaskId | undefined
  /** Its id is the queue's count, and no name that the app gave it. */
  readonly isNumbered: boolean
}
export interface Vanishing {
  sent(queue: RedisQueue | undefined, job: SentJob): void
}

type Asked = Required<Pick<RedisClient, 'get' | 'hget' | 'lrange' | 'zrange'>> &
  Pick<RedisClient, 'manuallyClosing' | 'status'>

type TaskOfStored = (opts: string) => TaskId | undefined

interface Followed {
  readonly taskOfStored: TaskOfStored
  readonly client: Asked
  /** That sent the last job. */
  queue: WeakRef<RedisQueue>
  readonly keyOf: (type: string) => string
  /** Jobs that may wait. `isSeen`: the last look found it waiting; of others it is not known whether they had been run. */
  readonly jobs: Map<string, { readonly taskId: TaskId; isSeen: boolean }>
  /** The count of the queue can only be as much or more. */
  highest: number
  readonly lookout: Lookout
}

/** `taskOfStored` reads the options of a job as they are stored. */
export function createVanishing(kit: TaskKit, taskOfStored: TaskOfStored, pace: Pace = PACE): Vanishing {
  const found = new WeakMap<RedisQueue, Promise<Followed | undefined>>()
  const queues = new Set<Followed>()

  const follow = async (queue: RedisQueue): Promise<Followed | undefined> => {
    const client = await clientOf(queue)
    const prefix = queue.toKey?.('')
    if (prefix === undefined || !canBeAsked(client)) return undefined
    for (const known of queues) if (known.client === client && known.keyOf('') === prefix) return known
    const keyOf = (type: string): string => `${prefix}${type}`
    const lookout = new Lookout(pace, async () => {
      // What is written to a connection that ends would be an error of the app's.
      if (isClosing(followed)) forget(followed)
      else if (isReady(followed)) await look(kit, followed, pace.soonMs)
      return followed.jobs.size > 0
    })
    const followed: Followed = {
      taskOfStored,
      client,
      queue: new WeakRef(queue),
      keyOf,
      jobs: new Map(),
      highest: 0,
      lookout,
    }
    return followed
  }
  const forget = (followed: Followed): void => {
    followed.lookout.end()
    followed.jobs.clear()
    queues.delete(followed)
  }
  const note = (followed: Followed, id: string, taskId: TaskId, isNumbered: boolean): void => {
    const { jobs } = followed
    const [oldest] = queues
    if (oldest && queues.size >= MOST_QUEUES && !queues.has(followed)) forget(oldest)
    queues.add(followed)
    const number = isNumbered ? Number(id) : Number.NaN
    // A number that is given out twice, while the first one waits, was counted anew. Else answers may come in another order than they went.
    if (number <= followed.highest && jobs.get(id)?.isSeen) askAtOnce(kit, followed)
    else if (number > followed.highest) followed.highest = number
    jobs.delete(id)
    jobs.set(id, { taskId, isSeen: false })
    if (jobs.size > MOST_JOBS) jobs.delete(jobs.keys().next().value!)
    followed.lookout.nudge()
  }
  return {
    sent(queue, { id, taskId, isNumbered }) {
      if (!queue || !id || !taskId) return
      let known = found.get(queue)
      if (!known) found.set(queue, (known = follow(queue).catch(() => undefined)))
      void known.then((followed) => {
        if (!followed) return
        if (followed.queue.deref() !== queue) followed.queue = new WeakRef(queue)
        note(followed, id, taskId, isNumbered)
      })
    },
  }
}

function isClosing({ client, queue }: Followed): boolean {
  return Boolean(queue.deref()?.closing) || client.manuallyClosing === true || client.status === 'end'
}

function isReady({ client: { status } }: Followed): boolean {
  return status === undefined || status === 'ready'
}

function canBeAsked(client: RedisClient | undefined): client is Asked {
  const { get, hget, lrange, zrange } = client ?? {}
  return [get, hget, lrange, zrange].every((method) => typeof method === 'function')
}

/** What waits is read before the count: where that has not gone back, nothing had gone before. */
async function look(kit: TaskKit, followed: Followed, soonMs: number): Promise<void> {
  const { jobs, highest } = followed
  const before = [...jobs]
  const { waiting, active, isAll } = await listed(followed)
  const count = await countOf(followed)
  if (count < highest) {
    // A replica may be asked, which is a little behind.
    await new Promise((resolve) => setTimeout(resolve, soonMs).unref())
    if (isClosing(followed) || !isReady(followed) || (await countOf(followed)) >= highest) return
    await emptied(kit, followed, new Map(jobs))
    followed.highest = count
    return
  }
  followed.highest = Math.max(followed.highest, count)
  for (const [id, job] of before) {
    job.isSeen = waiting.has(id)
    if (isAll && !waiting.has(id) && !active.has(id) && jobs.get(id) === job) jobs.delete(id)
  }
}

async function countOf({ client, keyOf }: Followed): Promise<number> {
  return Number((await client.get(keyOf('id'))) ?? 0)
}

/** `isAll`: nothing else waits or is at work. */
async function listed({ client, keyOf }: Followed) {
  const last = MOST_JOBS - 1
  const [active, ...lists] = await Promise.all([
    client.lrange(keyOf('active'), 0, last),
    ...['wait', 'paused'].map((type) => client.lrange(keyOf(type), 0, last)),
    ...['prioritized', 'delayed', 'waiting-children'].map((type) => client.zrange(keyOf(type), 0, last)),
  ])
  const isAll = [active, ...lists].every(({ length }) => length < MOST_JOBS)
  return { active: new Set(active), waiting: new Set(lists.flat()), isAll }
}

/** Whoever has just sent a job asks for nothing. */
function askAtOnce(kit: TaskKit, followed: Followed): void {
  void withoutTracing(() => emptied(kit, followed, new Map(followed.jobs))).catch(() => {})
}

/** What had been seen waiting, and is not there any more, went with the data of its queue. */
async function emptied(
  kit: TaskKit,
  { client, keyOf, jobs, taskOfStored }: Followed,
  before: Followed['jobs'],
): Promise<void> {
  const all = [...before]
  for (let i = 0; i < all.length; i += AT_ONCE)
    await Promise.all(
      all.slice(i, i + AT_ONCE).map(async ([id, job]) => {
        const stored = await client.hget(keyOf(id), 'opts')
        const carried = stored ? taskOfStored(stored) : undefined
        // Another job may have its id by now.
        if (stored && (carried ?? job.taskId) === job.taskId) return
        if (jobs.get(id) === job) jobs.delete(id)
        if (!job.isSeen) return
        job.isSeen = false
        kit.settle(job.taskId, 'lost', 'vanished_from_broker', 'broker')
      }),
    )
}
