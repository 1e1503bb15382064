// What is used of Bull, as it is from 4.0 on.
import type { RedisClient } from '../redis-jobs/shapes.ts'
import type { Fields } from '../sending/bag.ts'

export interface JobOptions extends Fields {
  attempts?: number
  debounce?: { readonly id?: string; readonly ttl?: number }
  jobId?: string
  repeat?: object
  timeout?: number
}
/** What is stored of a job, as Redis gives it back. */
export interface StoredJob {
  /** How often it was taken back from a worker that had not renewed its lock. */
  readonly stalledCounter?: string
}
type Call = (...args: any[]) => Promise<unknown>
export interface Job {
  readonly id?: string
  readonly name: string
  readonly opts: JobOptions
  readonly attemptsMade: number
  /** Only where it has failed for good, or is done. */
  readonly finishedOn?: number | null
  readonly failedReason?: string
  readonly queue: Queue
  /** discard() was called. */
  readonly _discarded?: boolean
  getState(): Promise<string>
  moveToCompleted: Call
  moveToDelayed: Call
  moveToFailed: Call
  remove: Call
  toJSON(): object
}
export type Handler = (this: unknown, job: Job, ...args: unknown[]) => Promise<unknown>
export interface Queue {
  readonly name: string
  readonly handlers: Record<string, Handler>
  /** Of the keys in Redis, by what they hold. */
  readonly keys: Readonly<Record<string, string>>
  readonly client: RedisClient
  /** While it ends, and after. */
  readonly closing?: unknown
  clean: Call
  empty: Call
  emit(event: string, ...args: unknown[]): boolean
  nextJobFromJobData(...args: unknown[]): unknown
  obliterate: Call
  process: Call
  removeJobs: Call
  toKey(type: string): string
  setHandler(name: string, handler: unknown, ...args: unknown[]): unknown
}
export interface BulkJob {
  readonly name: string
  readonly opts?: JobOptions
}
export interface JobClass {
  readonly prototype: Job
  create(queue: Queue, ...args: any[]): Promise<Job>
  createBulk(queue: Queue, jobs: readonly BulkJob[]): Promise<readonly Job[]>
  fromId(queue: Queue, jobId: string): Promise<Job | null | undefined>
  fromJSON(queue: Queue, json: StoredJob, jobId?: string): Job
}
/** The package is the class of queues. */
export interface Bull {
  readonly Job: JobClass
  readonly prototype: Queue
}
