// What is used of pg-boss, as it is from 12.4 on.
import { withoutTracing } from '@afterspan/core/internal'
import { isObject, type Fields } from '../sending/bag.ts'

export const SYSTEM = 'pg-boss'
const MOST_QUESTIONS = 4

export type Method = (this: Boss, ...args: unknown[]) => Promise<unknown>
export interface Db {
  executeSql(text: string, values?: unknown[]): Promise<{ readonly rows: readonly Fields[] }>
}
/** PgBoss.prototype. Older versions lack some of it. */
export interface Boss {
  cancel: Method
  complete: Method
  createQueue: Method
  deleteAllJobs: Method
  deleteJob: Method
  deleteQueue: Method
  deleteQueuedJobs: Method
  fail: Method
  fetch: Method
  findJobs: Method
  flow: Method
  getDb(): Db
  getJobById: Method
  getQueue: Method
  getQueueStats: Method
  insert: Method
  publish: Method
  send: Method
  sendAfter: Method
  sendDebounced: Method
  sendThrottled: Method
  stop: Method
  update: Method
  updateQueue: Method
  upsert: Method
  work: Method
}
export interface Job extends Fields {
  readonly id: string
  readonly name: string
  data: unknown
  readonly signal?: AbortSignal
}

/** A job with its metadata, as the database has it now; its data still holds the carrier. */
export type Find = (boss: Boss, queue: string, id: string) => Promise<Job | null>

/** The app's own connection, where the settings of a call name one: most likely inside of a transaction. */
export function givenDb(settings: unknown): Db | undefined {
  const db = isObject(settings) ? settings['db'] : undefined
  return isObject(db) && typeof db['executeSql'] === 'function' ? (db as unknown as Db) : undefined
}

/** Questions of ours share the app's pool with its own work: a few at a time. */
export function createFinder({ getJobById }: Boss): Find {
  let running = 0
  const waiting: (() => void)[] = []
  return async (boss, queue, id) => {
    if (running >= MOST_QUESTIONS) await new Promise<void>((resolve) => waiting.push(resolve))
    running++
    try {
      return (await withoutTracing(() => getJobById.call(boss, queue, id))) as Job | null
    } finally {
      running--
      waiting.shift()?.()
    }
  }
}
