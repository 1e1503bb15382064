// One attempt for each call of a task. A worker takes its jobs and its tasks from what makeNewWorker() is given.
import { context, ROOT_CONTEXT } from '@opentelemetry/api'
import { isThenable } from '@afterspan/core/internal'
import { failureOf } from '../running/failure-of.ts'
import { isObject, type Bag } from '../sending/bag.ts'
import { takeCarrier } from './carrier.ts'
import {
  idOf,
  SYSTEM,
  type Exports,
  type GetJob,
  type Job,
  type JobHelpers,
  type Patch,
  type Task,
  type WorkerParams,
} from './shapes.ts'

type Tasks = WorkerParams['tasks']
interface Running {
  /** Jobs that a worker has taken, and what they carry. */
  readonly bags: WeakMap<Job, Bag>
  /** Ends the attempt of a job that was given back while its task works on. By the row: each schema counts its jobs from 1. */
  readonly givingUp: WeakMap<Job, (error: unknown) => void>
}

export function patchWorker(exports: Partial<Exports>, { kit }: Patch, running: Running): void {
  const wrapped = new WeakMap<Tasks, Tasks>()
  kit.wrap(exports as Exports, 'makeNewWorker', (original) => (shared, params) => {
    const { tasks, getJob } = params
    const followed = wrapped.get(tasks) ?? followTasks(tasks, kit, running)
    wrapped.set(tasks, followed)
    const takeJob: GetJob = async (...args) => {
      const job = await getJob(...args)
      // Here, so that those who listen to the events see the flags that were given.
      if (isObject(job)) running.bags.set(job, takeCarrier(job))
      return job
    }
    return context.with(ROOT_CONTEXT, () => original(shared, { ...params, tasks: followed, getJob: takeJob }))
  })
  // What lives as long as the process must not carry the request that happened to start it.
  for (const method of ['runTaskList', 'runTaskListInternal', 'runCron'] as const)
    kit.wrap(
      exports as Exports,
      method,
      (original) =>
        (...args) =>
          context.with(ROOT_CONTEXT, () => original(...args)),
    )
  kit.wrap(exports as Exports, 'failJobs', (original) => async (settings, withPgClient, poolId, jobs, message) => {
    const given = await original(settings, withPgClient, poolId, jobs, message)
    for (const row of given) takeCarrier(row)
    const ids = new Set(given.map(idOf))
    for (const job of jobs) if (ids.has(idOf(job))) running.givingUp.get(job)?.(failureOf('shut_down', String(message)))
    return given
  })
}

/** The app's tasks by their names; it may add to them later. They may be frozen, and nothing may stand for what is. */
function followTasks(tasks: Tasks, kit: Patch['kit'], running: Running): Tasks {
  return new Proxy(Object.create(Object.getPrototypeOf(tasks) as object | null) as Tasks, {
    get(_, name) {
      const task: unknown = Reflect.get(tasks, name)
      if (typeof task !== 'function') return task
      return (payload: unknown, helpers: JobHelpers, ...more: unknown[]) =>
        runTask(kit, running, helpers.job, () => (task as Task)(payload, helpers, ...more))
    },
    set: (_, name, value) => Reflect.set(tasks, name, value),
    deleteProperty: (_, name) => Reflect.deleteProperty(tasks, name),
    has: (_, name) => Reflect.has(tasks, name),
    ownKeys: () => Reflect.ownKeys(tasks),
    getOwnPropertyDescriptor(_, name) {
      const found = Reflect.getOwnPropertyDescriptor(tasks, name)
      return found && { ...found, configurable: true }
    },
  })
}

function runTask(kit: Patch['kit'], { bags, givingUp }: Running, job: Job, call: () => unknown): unknown {
  const bag = bags.get(job) ?? takeCarrier(job)
  const { promise: givenUp, reject } = Promise.withResolvers<never>()
  givenUp.catch(ignore)
  givingUp.set(job, reject)
  let result: unknown
  const run = (): unknown => {
    result = call()
    if (isThenable(result)) result = Promise.resolve(result)
    return Promise.race([givenUp, outcomeOf(result, job.payload)])
  }
  const info = {
    system: SYSTEM,
    destination: job.task_identifier,
    name: job.task_identifier,
    attempt: job.attempts,
    maxAttempts: job.max_attempts,
    // What had failed for good, or was cancelled, runs again only where somebody brought it back: rescheduleJobs().
    isReturn: true,
    messageId: idOf(job) ?? '',
  }
  const attempt: unknown = kit.attempt(info, bag, run)
  Promise.resolve(attempt).catch(ignore)
  return result
}

/** A job whose payload is a list is a batch: its task may return a list of promises, and those that are rejected are tried again. */
async function outcomeOf(result: unknown, payload: unknown): Promise<void> {
  const each: unknown = await result
  if (!Array.isArray(payload) || !Array.isArray(each) || each.length !== payload.length) return
  const failed = (await Promise.allSettled(each)).filter((one) => one.status === 'rejected')
  if (failed.length === 0) return
  const reasons = failed.map(({ reason }) => (isObject(reason) ? reason['message'] : undefined) ?? reason)
  throw failureOf('batch', `${failed.length} of ${each.length} failed: ${reasons.map(String).join('; ')}`)
}

export function createRunning(): Running {
  return { bags: new WeakMap(), givingUp: new WeakMap() }
}
function ignore(): void {}
