// Every addJob() and addJobs(): of the utilities, of a runner, and of a task's helpers. What the app adds by SQL: sql.ts.
import { withoutTracing, type TaskId } from '@afterspan/core/internal'
import { createBag, isObject, taskOf, type Bag } from '../sending/bag.ts'
import { sendAll } from '../sending/send-all.ts'
import { takeCarrier } from './carrier.ts'
import {
  draftOf,
  idOf,
  type AddJob,
  type AddJobs,
  type Exports,
  type Job,
  type JobHelpers,
  type Patch,
  type Settings,
  type Shared,
  type Spec,
  type WithClient,
} from './shapes.ts'

/** Whose table it is, and how it is reached. */
interface Place {
  readonly settings: Settings
  readonly withPgClient: WithClient
}

export function patchHelpers(exports: Partial<Exports>, patch: Patch): void {
  const { kit } = patch
  const followed = new WeakSet<object>()
  const follow = (target: { addJob: AddJob; addJobs: AddJobs }, place: Place): void => {
    if (followed.has(target.addJob)) return
    followAddJob(target, place, patch)
    followAddJobs(target, place, patch)
    followed.add(target.addJob)
  }
  kit.wrap(exports as Exports, 'makeAddJob', (original) => (settings, withPgClient) => {
    const made = { addJob: original(settings, withPgClient) }
    followAddJob(made, { settings, withPgClient }, patch)
    followed.add(made.addJob)
    return made.addJob
  })
  kit.wrap(exports as Exports, 'makeAddJobs', (original) => (settings, withPgClient) => {
    const made = { addJobs: original(settings, withPgClient) }
    followAddJobs(made, { settings, withPgClient }, patch)
    return made.addJobs
  })
  kit.wrap(exports as Exports, 'makeWorkerShared', (original) => (how) => {
    const shared = original(how)
    follow(shared, { settings: shared.compiledSharedOptions, withPgClient: shared.withPgClient })
    return shared
  })
  // Until 0.17 each job gets functions of its own.
  kit.wrap(exports as Exports, 'makeJobHelpers', (original) => (shared, job, how, ...more) => {
    const helpers: JobHelpers = original(shared, job, how, ...more)
    const { compiledSharedOptions: settings = shared as Settings, withPgClient = how.withPgClient } =
      shared as Partial<Shared>
    if (withPgClient) follow(helpers, { settings, withPgClient })
    return helpers
  })
}

function followAddJob(target: { addJob: AddJob }, place: Place, { kit, put }: Patch): void {
  kit.wrap(target, 'addJob', (original) => (identifier, payload, spec) => {
    if (typeof identifier !== 'string') return original(identifier, payload, spec ?? undefined)
    const bag = createBag()
    let answer: string | null = null
    const send = async (): Promise<Job> => {
      const key = spec?.jobKey
      const isKept = spec?.jobKeyMode === 'unsafe_dedupe'
      const replaced = key && put && !isKept ? await waitingTasks(place, [key]) : undefined
      const job = await original(identifier, payload, put ? put(spec, bag) : (spec ?? undefined))
      answer = isOther(takeCarrier(job), bag) || (isKept && job.revision > 0) ? null : idOf(job)
      if (replaced) cancelReplaced(replaced, [job])
      return job
    }
    return kit.enqueue(draftOf(identifier, put === null), bag, send, () => answer)
  })
  const cancelReplaced = canceller(kit)
}

function followAddJobs(target: { addJobs: AddJobs }, place: Place, { kit, put }: Patch): void {
  const cancelReplaced = canceller(kit)
  kit.wrap(target, 'addJobs', (original) => (specs, ...more) => {
    if (!Array.isArray(specs) || specs.length === 0 || !specs.every(isSpec)) return original(specs, ...more)
    const answers: (string | null)[] = []
    const send = async (bags: readonly Bag[]): Promise<Job[]> => {
      const keys = specs.map(({ jobKey }) => jobKey).filter((key) => typeof key === 'string')
      const replaced = keys.length > 0 && put ? await waitingTasks(place, keys) : undefined
      const carrying = put ? specs.map((spec, i) => put(spec, bags[i]!)) : specs
      const jobs = await original(carrying, ...more)
      const found = new Map(jobs.map((job) => [takeCarrier(job).get('traceparent'), idOf(job)]))
      // The database gives back the jobs in an order of its own; those without a carrier can only be counted off.
      for (const [i, bag] of bags.entries())
        answers.push(found.get(bag.get('traceparent')) ?? (jobs[i] ? idOf(jobs[i]) : null))
      if (replaced) cancelReplaced(replaced, jobs)
      return jobs
    }
    return sendAll(
      kit,
      specs.map(({ identifier }) => draftOf(identifier, put === null)),
      send,
      (_, i) => answers[i],
    )
  })
}

function isSpec(spec: unknown): spec is Spec & { readonly identifier: string } {
  return isObject(spec) && typeof spec['identifier'] === 'string'
}

/** With 'unsafe_dedupe' the job that is there already comes back, with what it carries. */
function isOther(found: Bag, bag: Bag): boolean {
  const carried = found.get('traceparent')
  return carried !== undefined && carried !== bag.get('traceparent')
}

/** The tasks of jobs under these keys that nobody runs: a new job under the key takes their place. One question, for calls with keys alone. */
async function waitingTasks(
  { settings, withPgClient }: Place,
  keys: readonly string[],
): Promise<ReadonlyMap<string, TaskId>> {
  const text = `select id, flags from ${settings.escapedWorkerSchema}._private_jobs
    where key = any($1::text[]) and locked_at is null and attempts < max_attempts`
  const tasks = new Map<string, TaskId>()
  try {
    const { rows } = await withoutTracing(() => withPgClient((client) => client.query(text, [keys])))
    for (const row of rows as unknown as Job[]) {
      const taskId = taskOf(takeCarrier(row))
      const id = idOf(row)
      if (taskId && id) tasks.set(id, taskId)
    }
  } catch {
    // not allowed to, or the database is away: then adding the job says so
  }
  return tasks
}

/** A job that was replaced keeps its number. */
function canceller({ settle }: Patch['kit']): (waiting: ReadonlyMap<string, TaskId>, jobs: readonly Job[]) => void {
  return (waiting, jobs) => {
    for (const job of jobs) {
      const taskId = waiting.get(idOf(job) ?? '')
      if (taskId) settle(taskId, 'cancelled', 'deduplicated', 'broker')
    }
  }
}
