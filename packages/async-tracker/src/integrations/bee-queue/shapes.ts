// What is used of bee-queue, as it is from 1.7 on.
import type { Fields } from '../sending/bag.ts'

export interface Job {
  readonly id: string | null
  readonly queue: Queue
  /** created, retrying, succeeded, failed. */
  readonly status: string
  readonly options: Fields & {
    readonly backoff?: { readonly strategy?: string }
    /** Of each failed run one. */
    readonly stacktraces?: readonly unknown[]
    /** How often it is tried again from now on. */
    readonly retries?: number
    readonly timeout?: number
  }
  _save(evalScript: unknown, ...args: unknown[]): Promise<Job>
  toData(): string
}
export type Handler = (this: unknown, job: Job, ...args: unknown[]) => PromiseLike<unknown>
export interface Queue {
  readonly name: string
  readonly backoffStrategies: ReadonlyMap<string, unknown>
  handler?: Handler
  _finishJob(error: unknown, data: unknown, job: Job, ...args: unknown[]): Promise<unknown>
  createJob(data: object): object
  destroy(...args: unknown[]): Promise<unknown>
  getJobs(
    type: string,
    page: { readonly start: number; readonly end: number },
  ): Promise<readonly { readonly id: string | null }[]>
  process(...args: unknown[]): unknown
  removeJob(jobId: string, ...args: unknown[]): Promise<unknown>
}
export interface JobClass {
  readonly prototype: Job
  fromData(queue: Queue, jobId: string, data: string): Job
  fromId(queue: Queue, jobId: string): Promise<Job | null>
}
export interface QueueClass {
  readonly prototype: Queue
}
