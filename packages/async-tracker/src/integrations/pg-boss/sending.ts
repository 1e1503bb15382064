// Every way to make a job: one (send and its variants, upsert), several (insert, flow), one for each subscriber (publish).
import { AsyncLocalStorage } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'
import type { TaskId } from '@afterspan/core/internal'
import { createBag, isObject, type Bag, type Fields } from '../sending/bag.ts'
import { sendAll } from '../sending/send-all.ts'
import { givenDb, type Boss, type Db } from './boss.ts'
import { onCall, type Patch } from './patch.ts'
import { createFindWaiting, requestOf, tasksOf, withData } from './replacing.ts'
import { inTime } from './turns.ts'

/** One job: (queue, data, …) or ({ name, data, … }). A null for an id: throttled, debounced or against the queue's policy. */
export function patchSend(patch: Patch): void {
  const { kit, put, draftOf, transactions } = patch
  for (const method of ['send', 'sendAfter', 'sendDebounced', 'sendThrottled'] as const)
    onCall(patch, method, (original, self, args) => {
      const request = requestOf(args)
      if (!request) return original.apply(self, args)
      const { queue, data, options } = request
      const bag = createBag()
      const db = givenDb(options)
      const send = async (): Promise<unknown> => {
        const id = await original.apply(self, withData(args, put(data, bag, queue)))
        if (db) await transactions.follow(db, self, [{ bag, queue, id }])
        return id
      }
      const settings = method === 'sendAfter' && isObject(options) ? { ...options, startAfter: args[3] } : options
      const draft = { ...draftOf(queue, data, settings), isAwaited: true }
      return kit.enqueue(draft, bag, send, (id) => (typeof id === 'string' ? id : null))
    })
}

/** Of a job that waits it takes the place. Without data it leaves that job as it was, but for its options. */
export function patchUpsert(patch: Patch): void {
  const { kit, put, draftOf, transactions } = patch
  if (typeof patch.boss.upsert !== 'function') return
  const findWaiting = createFindWaiting(patch)
  onCall(
    patch,
    'upsert',
    (original, self, args) => {
      const request = requestOf(args)
      if (!request) return original.apply(self, args)
      const { queue, data, options } = request
      const bag = createBag()
      const db = givenDb(options)
      const send = async (): Promise<unknown> => {
        const before =
          data === undefined ? new Map<string, TaskId>() : tasksOf(await inTime(findWaiting(self, request), []))
        const result = await original.apply(self, withData(args, put(data, bag, queue)))
        const { updated, jobs = [] } = resultOf(result)
        if (db) await transactions.follow(db, self, [{ bag, queue, id: jobs[0] }])
        if (!updated) return result
        for (const taskId of jobs.map((id) => before.get(id)))
          if (taskId) kit.settle(taskId, 'cancelled', 'deduplicated', 'broker')
        return result
      }
      const draft = { ...draftOf(queue, data, options), isAwaited: true }
      return kit.enqueue(draft, bag, send, (result) => {
        const { updated, jobs } = resultOf(result)
        return data === undefined && updated ? null : (jobs?.[0] ?? null)
      })
    },
    true,
  )
}

function resultOf(result: unknown): { readonly updated?: number; readonly jobs?: readonly string[] } {
  return isObject(result) && Array.isArray(result['jobs']) ? result : {}
}

export function patchInsert(patch: Patch): void {
  const { boss, kit, put, draftOf, transactions } = patch
  // 12.8 brought findJobs() and insert()'s returnId. Before, insert() tells nothing, and all jobs are taken for inserted.
  const tellsIds = typeof boss.findJobs === 'function'
  onCall(patch, 'insert', (original, self, args) => {
    const [queue, jobs, settings] = args
    if (typeof queue !== 'string' || !isJobList(jobs)) return original.apply(self, args)
    // The database would make the ids; from ours the skipped jobs (deduplicated) can be told.
    const named = jobs.map((job): Fields => ({ ...job, id: job['id'] ?? randomUUID() }))
    let inserted: ReadonlySet<unknown> | undefined
    const idOf = (result: unknown, i: number): string | null => {
      const id = named[i]?.['id']
      if (typeof id !== 'string') return null
      inserted ??= new Set(Array.isArray(result) ? result : [])
      return !tellsIds || inserted.has(id.toLowerCase()) ? id : null
    }
    const db = givenDb(settings)
    const send = async (bags: readonly Bag[]): Promise<unknown> => {
      const carrying = named.map((job, i) => ({ ...job, data: put(job['data'], bags[i]!, queue) }))
      const result = await original.call(self, queue, carrying, { ...(settings as object | undefined), returnId: true })
      if (db)
        await transactions.follow(
          db,
          self,
          named.map(({ id }, i) => ({ bag: bags[i]!, queue, id })),
        )
      return result
    }
    const isAsked = isObject(settings) && settings['returnId'] === true
    const drafts = named.map((job) => draftOf(queue, job['data'], job))
    return sendAll(kit, drafts, send, idOf).then((ids) => (isAsked ? ids : null))
  })
}

export function patchFlow(patch: Patch): void {
  const { kit, put, draftOf } = patch
  onCall(patch, 'flow', (original, self, args) => {
    const [jobs, ...rest] = args
    if (!isJobList(jobs)) return original.apply(self, args)
    const queues = jobs.map((job) => String(job['name']))
    const send = (bags: readonly Bag[]): Promise<unknown> =>
      original.call(
        self,
        jobs.map((job, i) => ({ ...job, data: put(job['data'], bags[i]!, queues[i]!) })),
        ...rest,
      )
    const idOf = (ids: unknown, i: number): string | undefined => {
      const id = isObject(ids) ? ids[String(jobs[i]?.['ref'])] : undefined
      return typeof id === 'string' ? id : undefined
    }
    const drafts = jobs.map((job, i) => draftOf(queues[i]!, job['data'], job['options']))
    return sendAll(kit, drafts, send, idOf)
  })
}

/**
 * One job for each subscribed queue, which pg-boss alone knows. Its own inserts are where each job can get a carrier of its own: they
 * are seen on their way to the database while publish() runs.
 */
export function patchPublish(patch: Patch): void {
  const publishing = new AsyncLocalStorage<true>()
  const tapped = new WeakSet<Db>()
  onCall(patch, 'publish', (original, self, args) => {
    const settings = args[2]
    const db = isObject(settings) && isObject(settings['db']) ? (settings['db'] as unknown as Db) : self.getDb()
    if (!tapped.has(db)) {
      tapped.add(db)
      tapInserts(patch, db, { self, isPublishing: () => publishing.getStore() === true })
    }
    return publishing.run(true, () => original.apply(self, args))
  })
}

function tapInserts(
  { kit, put, draftOf, transactions }: Patch,
  db: Db,
  { self, isPublishing }: { readonly self: Boss; isPublishing(): boolean },
): void {
  kit.wrap(
    db,
    'executeSql',
    (original) =>
      function (this: Db, ...args) {
        const job = isPublishing() ? insertedJob(args[1]) : undefined
        if (!job) return original.apply(this, args)
        const bag = createBag()
        const send = async (): ReturnType<Db['executeSql']> => {
          const carrying = { ...job, data: put(job.data, bag, job.name) }
          const result = await original.call(this, args[0], [JSON.stringify([carrying])])
          // Where the connection is pg-boss's own it is in no transaction of the app.
          await transactions.follow(db, self, [{ bag, queue: job.name, id: result.rows[0]?.['id'] }])
          return result
        }
        return kit.enqueue(draftOf(job.name, job.data, job), bag, send, ({ rows }) => {
          const id = rows[0]?.['id']
          return typeof id === 'string' ? id : null
        })
      },
  )
}

/** A job's insert has one value: the JSON of a list with that job. */
function insertedJob(values: unknown): { readonly name: string; readonly data: unknown } | undefined {
  const [json, ...others]: unknown[] = Array.isArray(values) ? values : []
  if (typeof json !== 'string' || others.length > 0 || !json.startsWith('[{')) return undefined
  try {
    const [job, ...more] = JSON.parse(json) as Fields[]
    const isJob = more.length === 0 && typeof job?.['name'] === 'string' && 'data' in job
    return isJob ? (job as { name: string; data: unknown }) : undefined
  } catch {
    return undefined
  }
}

function isJobList(jobs: unknown): jobs is readonly Fields[] {
  return Array.isArray(jobs) && jobs.length > 0 && jobs.every(isObject)
}
