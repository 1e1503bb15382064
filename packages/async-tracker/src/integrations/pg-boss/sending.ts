// Every way to make a job: one (send and its variants, upsert), several (insert, flow), one for each subscriber (publish).
import { AsyncLocalStorage } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'
import { createBag, isObject, type Bag, type Fields } from '../sending/bag.ts'
import { sendAll } from '../sending/send-all.ts'
import { givenDb, onCall, type Db, type Patch } from './boss.ts'

/** One job: (queue, data, …) or ({ name, data, … }). A null for an id: throttled, debounced or against the queue's policy. */
export function patchSend(patch: Patch): void {
  const { kit, put, draftOf, transactions } = patch
  for (const method of ['send', 'sendAfter', 'sendDebounced', 'sendThrottled', 'upsert'] as const)
    onCall(patch, method, (original, self, args) => {
      const [first, data, ...rest] = args
      const request = isObject(first) ? first : undefined
      const queue = request ? request['name'] : first
      if (typeof queue !== 'string') return original.apply(self, args)
      const bag = createBag()
      const call = (): Promise<unknown> =>
        request
          ? original.call(self, { ...request, data: put(request['data'], bag, queue) }, ...args.slice(1))
          : original.call(self, queue, put(data, bag, queue), ...rest)
      const db = givenDb(request ? request['options'] : rest[0])
      const send = async (): Promise<unknown> => {
        const result = await call()
        if (db) await transactions.follow(db, self, [bag])
        return result
      }
      const draft = { ...draftOf(queue, request ? request['data'] : data), isAwaited: true }
      return kit.enqueue(draft, bag, send, (result) => {
        // upsert() tells of jobs.
        const id = isObject(result) && Array.isArray(result['jobs']) ? (result['jobs'][0] as unknown) : result
        return typeof id === 'string' ? id : null
      })
    })
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
      if (db) await transactions.follow(db, self, bags)
      return result
    }
    const isAsked = isObject(settings) && settings['returnId'] === true
    const drafts = named.map((job) => draftOf(queue, job['data']))
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
    const drafts = jobs.map((job, i) => draftOf(queues[i]!, job['data']))
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
      tapInserts(patch, db, () => publishing.getStore() === true)
    }
    return publishing.run(true, () => original.apply(self, args))
  })
}

function tapInserts({ kit, put, draftOf }: Patch, db: Db, isPublishing: () => boolean): void {
  kit.wrap(
    db,
    'executeSql',
    (original) =>
      function (this: Db, ...args) {
        const job = isPublishing() ? insertedJob(args[1]) : undefined
        if (!job) return original.apply(this, args)
        const bag = createBag()
        const send = (): ReturnType<Db['executeSql']> =>
          original.call(this, args[0], [JSON.stringify([{ ...job, data: put(job.data, bag, job.name) }])])
        return kit.enqueue(draftOf(job.name, job.data), bag, send, ({ rows }) => {
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
