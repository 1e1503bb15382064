// What is used of BullMQ, as it is from 5.0 on.
import type { RedisQueue } from '../redis-jobs/shapes.ts'
import type { Fields } from '../sending/bag.ts'

export interface JobOptions extends Fields {
  readonly attempts?: number
  readonly debounce?: Deduplication
  readonly deduplication?: Deduplication
  readonly failParentOnFailure?: boolean
  readonly jobId?: string
  readonly repeat?: object
  readonly repeatJobKey?: string
  readonly telemetry?: { readonly metadata?: string; readonly omitContext?: boolean }
  /** The same, for some versions of 5. */
  readonly telemetryMetadata?: string
}
interface Deduplication {
  readonly id?: string
  readonly keepLastIfActive?: boolean
  readonly replace?: boolean
  readonly ttl?: number
}
/** What a worker does with a job that it has run, and the app with one that it got by hand. */
export interface Settling {
  moveToCompleted(...args: unknown[]): Promise<unknown>
  moveToDelayed(...args: unknown[]): Promise<unknown>
  moveToFailed(...args: unknown[]): Promise<unknown>
  moveToWait(...args: unknown[]): Promise<unknown>
  moveToWaitingChildren(...args: unknown[]): Promise<unknown>
}
export interface Job extends Settling {
  readonly id?: string
  readonly name: string
  readonly opts: JobOptions
  readonly attemptsMade: number
  readonly attemptsStarted?: number
  /** discard() was called; until 5. */
  readonly discarded?: boolean
  readonly failedReason?: string
  readonly finishedOn?: number
  /** In Redis, of the job that waits for it. */
  readonly parentKey?: string
  /** The queue that it was made or read by. */
  readonly queue?: Queue
  asJSONSandbox(...args: unknown[]): object
  getState(): Promise<string>
  remove(...args: unknown[]): Promise<unknown>
  removeUnprocessedChildren(...args: unknown[]): Promise<unknown>
}
export interface Queue extends RedisQueue {
  readonly name: string
  /** Of a worker, where a job was got by one. */
  readonly opts?: WorkerOptions
  clean(...args: unknown[]): Promise<unknown>
  drain(...args: unknown[]): Promise<unknown>
  getDeduplicationJobId?(id: string): Promise<string | null>
  getJobState(jobId: string): Promise<string>
  getRanges(states: readonly string[], start: number, end: number): Promise<readonly string[]>
  obliterate(...args: unknown[]): Promise<unknown>
  remove(jobId: string, ...args: unknown[]): Promise<number>
}
export interface BulkJob {
  readonly name: string
  readonly data: unknown
  readonly opts?: JobOptions
}
export interface FlowNode {
  readonly name: string
  readonly queueName: string
  readonly opts?: JobOptions
  readonly children?: readonly FlowNode[]
}
export interface JobTree {
  readonly job: Job
  readonly children?: readonly JobTree[]
}
export interface FlowProducer {
  readonly telemetry?: unknown
  add(flow: FlowNode, ...args: unknown[]): Promise<JobTree | undefined>
  addBulk(flows: readonly FlowNode[], ...args: unknown[]): Promise<readonly JobTree[] | undefined>
}
interface WorkerOptions {
  readonly maxStartedAttempts?: number
}
export interface Worker {
  readonly name: string
  readonly opts?: WorkerOptions
  callProcessJob: (this: Worker, job: Job, ...args: unknown[]) => unknown
  emit(event: string, ...args: unknown[]): boolean
  getNextJob(...args: unknown[]): Promise<Job | undefined>
  run(...args: unknown[]): Promise<unknown>
}
/** In the child process or thread of a processor that is a file; a job comes as it is stored. */
export interface ChildProcessorClass {
  readonly prototype: { start(job: { readonly opts?: unknown; afterspan?: unknown }, ...args: unknown[]): unknown }
}
type Thrown = new (...args: never[]) => Error
export interface BullMQ {
  readonly DelayedError?: Thrown
  readonly FlowProducer: { readonly prototype: FlowProducer }
  readonly Job: JobClass
  readonly Queue: { readonly prototype: Queue }
  readonly UnrecoverableError?: Thrown
  readonly WaitingChildrenError?: Thrown
  readonly WaitingError?: Thrown
  readonly Worker: { readonly prototype: Worker }
}
export interface JobClass {
  readonly prototype: Job
  create(queue: Queue, name: string, data: unknown, opts?: JobOptions): Promise<Job>
  createBulk(queue: Queue, jobs: readonly BulkJob[]): Promise<readonly Job[]>
  fromId(queue: Queue, jobId: string): Promise<Job | undefined>
  fromJSON(queue: Queue, json: object, jobId: string): Job
}
