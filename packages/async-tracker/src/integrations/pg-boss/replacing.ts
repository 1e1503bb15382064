// update() and upsert() write new data over that of a job that waits, and so over its carrier: who it belongs to is read before.
import { withoutTracing, type TaskId } from '@afterspan/core/internal'
import { createBag, isObject, taskOf, type Bag } from '../sending/bag.ts'
import type { Boss, Job } from './boss.ts'
import { carrierOfAll, takeCarrier } from './carrier.ts'
import { onCall, type Patch } from './patch.ts'
import { inTime } from './turns.ts'

/** Of one key; older versions know no limit. */
const MOST_JOBS = 100

/** What a call names: (queue, data, options) or ({ name, data, options }). */
export interface Request {
  readonly queue: string
  readonly data: unknown
  readonly options: unknown
}

export function requestOf([first, data, options]: readonly unknown[]): Request | undefined {
  if (typeof first === 'string') return { queue: first, data, options }
  if (!isObject(first) || typeof first['name'] !== 'string') return undefined
  return { queue: first['name'], data: first['data'], options: first['options'] }
}

/** The same call with other data. */
export function withData(args: readonly unknown[], data: unknown): unknown[] {
  const [first, , ...rest] = args
  return isObject(first) ? [{ ...first, data }, ...args.slice(1)] : [first, data, ...rest]
}

/** The jobs that wait, the oldest first, of which such a call may mean one. Never rejects: what could not be asked is not told. */
export type FindWaiting = (self: Boss, request: Request) => Promise<readonly Job[]>

export function createFindWaiting({ boss: { findJobs }, kit }: Pick<Patch, 'boss' | 'kit'>): FindWaiting {
  return async (self, { queue, options }) => {
    const { id, singletonKey: key } = isObject(options) ? options : {}
    if (typeof findJobs !== 'function' || kit.carriesInData === false || (!id && !key)) return []
    try {
      const asked = { ...(id ? { id } : { key }), queued: true, limit: MOST_JOBS }
      const found = await withoutTracing(() => findJobs.call(self, queue, asked))
      const jobs = Array.isArray(found) ? (found as Job[]) : []
      // The newest may not be among them.
      if (jobs.length >= MOST_JOBS) return []
      return jobs.toSorted((a, b) => Number(a['createdOn']) - Number(b['createdOn']))
    } catch {
      return [] // there is no such queue: the call itself will say so
    }
  }
}

/** Of jobs that are updated at once; each has the carriers of all in its data, and more lose theirs. */
const MOST_AT_ONCE = 20

/** An updated job stays the work of who sent it. */
export function patchUpdate(patch: Patch): void {
  if (typeof patch.boss.update !== 'function') return
  const findWaiting = createFindWaiting(patch)
  onCall(
    patch,
    'update',
    async (original, self, args) => {
      const request = requestOf(args)
      if (!isObject(request?.data)) return original.apply(self, args)
      const bag = carrierFor(await inTime(findWaiting(self, request), []), request.options)
      return original.apply(self, withData(args, patch.put(request.data, bag, request.queue)))
    },
    true,
  )
}

function carrierFor(jobs: readonly Job[], options: unknown): Bag {
  const match = isObject(options) ? options['match'] : undefined
  if (match === 'all' && jobs.length > 1) return jobs.length > MOST_AT_ONCE ? createBag() : carrierOfAll(jobs)
  const job = jobs.at(match === 'oldest' ? 0 : -1)
  return job ? takeCarrier(job) : createBag()
}

/** Tasks of the jobs that were updated, by id. */
export function tasksOf(jobs: readonly Job[]): ReadonlyMap<string, TaskId> {
  const tasks = jobs.map((job) => [job.id, taskOf(takeCarrier(job))] as const)
  return new Map(tasks.filter((pair): pair is readonly [string, TaskId] => pair[1] !== undefined))
}
