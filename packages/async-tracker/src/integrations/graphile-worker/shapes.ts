// What is used of Graphile Worker, as it is from 0.17 on.
import type { TaskDraft, TaskKit } from '@afterspan/core/internal'
import type { Bag, Fields } from '../sending/bag.ts'

export const SYSTEM = 'graphile-worker'

/** A row of the table of jobs. The number is a string unless the app has told pg otherwise; all is null where nothing was inserted. */
export interface Job extends Fields {
  readonly id: string | number | bigint | null
  readonly payload: unknown
  /** As an object whose values are true. */
  flags: unknown
  readonly attempts: number
  readonly max_attempts: number
  readonly revision: number
  readonly task_identifier: string
}
export interface Spec extends Fields {
  readonly jobKey?: string
  readonly jobKeyMode?: string
  readonly flags?: readonly string[] | null
}
export type AddJob = (identifier: string, payload?: unknown, spec?: Spec | null) => Promise<Job>
export type AddJobs = (specs: readonly (Spec & { readonly identifier: string })[], ...more: unknown[]) => Promise<Job[]>

export interface Client {
  query(text: string, values: unknown[]): Promise<{ readonly rows: Fields[] }>
}
export type WithClient = <R>(use: (client: Client) => Promise<R>) => Promise<R>
export interface Settings {
  readonly escapedWorkerSchema: string
}
export interface Shared {
  readonly compiledSharedOptions: Settings
  readonly withPgClient: WithClient
  addJob: AddJob
  addJobs: AddJobs
}
/** What a task gets beside its payload. */
export interface JobHelpers {
  readonly job: Job
  addJob: AddJob
  addJobs: AddJobs
}
export type Task = (payload: unknown, helpers: JobHelpers, ...more: unknown[]) => unknown
export type GetJob = (...args: unknown[]) => Promise<Job | undefined>
export interface WorkerParams {
  readonly tasks: Record<string, Task | undefined>
  readonly getJob: GetJob
}
type Rows = (ids: unknown, ...more: unknown[]) => Promise<Job[]>
export interface Utils {
  completeJobs: Rows
  permanentlyFailJobs: Rows
  rescheduleJobs: Rows
}

/** The exports of the files that are patched; each file has some of them. */
export interface Exports {
  /** helpers.js */
  makeAddJob: (settings: Settings, withPgClient: WithClient) => AddJob
  makeAddJobs: (settings: Settings, withPgClient: WithClient) => AddJobs
  makeJobHelpers: (
    shared: Settings | Shared,
    job: Job,
    how: { readonly withPgClient?: WithClient },
    ...more: unknown[]
  ) => JobHelpers
  /** Since 0.18. */
  makeWorkerShared: (how: unknown) => Shared
  /** worker.js */
  makeNewWorker: (shared: unknown, params: WorkerParams) => unknown
  /** workerUtils.js */
  makeWorkerUtils: (...args: unknown[]) => Promise<Utils>
  /** main.js, cron.js */
  runTaskList: (...args: unknown[]) => unknown
  runTaskListInternal: (...args: unknown[]) => unknown
  runCron: (...args: unknown[]) => unknown
  /** sql/failJobs.js: what is given back when the workers shut down. */
  failJobs: (
    settings: unknown,
    withPgClient: unknown,
    poolId: unknown,
    jobs: readonly Job[],
    message: unknown,
  ) => Promise<Job[]>
}
export interface Patch {
  readonly kit: TaskKit
  /** Lays the carrier into a job's specification; null: jobs stay as they are. */
  readonly put: (<T extends Spec>(spec: T | null | undefined, bag: Bag) => T) | null
}

/** Graphile Worker has no queues but named tasks: the destination is the task. */
export function draftOf(task: string, isFoundById: boolean): TaskDraft {
  return { system: SYSTEM, destination: task, name: task, ...(isFoundById ? { isFoundById } : {}) }
}

export function idOf({ id }: Job): string | null {
  return id === null || id === undefined ? null : String(id)
}
