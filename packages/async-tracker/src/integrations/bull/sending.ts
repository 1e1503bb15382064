// Job.create and Job.createBulk lie under Queue.add and Queue.addBulk.
import { withoutTracing, type TaskDraft, type TaskKit } from '@afterspan/core/internal'
import { createBag, isObject, taskOf, type Bag } from '../sending/bag.ts'
import { sendAll } from '../sending/send-all.ts'
import { carrierOf, takeCarrier, withCarrier } from './carrier.ts'
import type { Vanishing } from '../redis-jobs/vanishing.ts'
import type { BulkJob, Bull, Job, JobClass, JobOptions, Queue } from './shapes.ts'

/** Each costs one read of Redis; not for more jobs of one call than this. */
const MOST_LOOKUPS = 100

export function patchCreate({ Job }: Bull, kit: TaskKit, vanishing: Vanishing): void {
  kit.wrap(
    Job,
    'create',
    (original) =>
      function (this: JobClass, queue, ...args) {
        const [name, data, opts] = typeof args[0] === 'string' ? args : [undefined, ...args]
        // The next run of a timetable is nobody's: neither of who set it up, nor of the run before.
        if (isRepeated(opts)) return original.call(this, queue, ...args)
        const bag = createBag()
        let isKnown = false
        const create = (): Promise<Job> => {
          const carrying = withCarrier(opts, bag)
          const given = name === undefined ? [data, carrying] : [name, data, carrying]
          return original.call(this, queue, ...given).then((job) => takeCarrier(job))
        }
        const send = async (): Promise<Job> => {
          // Redis answers in the order that it is asked: the job is not held back until we know.
          const holder = holderOf(queue, opts)
          const job = await create()
          isKnown = await isDuplicate(Job, queue, { job, opts, bag, holder: await holder })
          return job
        }
        return kit.enqueue(draftOf(queue, name), bag, mayBeDuplicate(opts) ? send : create, (job) =>
          isKnown ? null : sentAs(vanishing, queue, job, opts),
        )
      },
  )
  kit.wrap(
    Job,
    'createBulk',
    (original) =>
      function (this: JobClass, queue, jobs) {
        if (!Array.isArray(jobs) || jobs.length === 0) return original.call(this, queue, jobs)
        const create = (carrying: readonly BulkJob[]): Promise<readonly Job[]> => original.call(this, queue, carrying)
        return createAll({ Job, kit, vanishing }, queue, { jobs, create })
      },
  )
}

function createAll(
  { Job, kit, vanishing }: { readonly Job: JobClass; readonly kit: TaskKit; readonly vanishing: Vanishing },
  queue: Queue,
  {
    jobs,
    create,
  }: { readonly jobs: readonly BulkJob[]; create(carrying: readonly BulkJob[]): Promise<readonly Job[]> },
): Promise<readonly Job[]> {
  const duplicates = new Set<number>()
  const send = async (bags: readonly Bag[]): Promise<readonly Job[]> => {
    const doubtful = [...jobs.keys()].filter((i) => mayBeDuplicate(jobs[i]!.opts)).slice(0, MOST_LOOKUPS)
    const holders = doubtful.map((i) => holderOf(queue, jobs[i]!.opts))
    const created = await create(jobs.map((job, i) => ({ ...job, opts: withCarrier(job.opts, bags[i]!)! })))
    for (const job of created) takeCarrier(job)
    const lookUp = async (i: number, at: number): Promise<void> => {
      const sent = { job: created[i]!, opts: jobs[i]!.opts, bag: bags[i]!, holder: await holders[at] }
      if (await isDuplicate(Job, queue, sent)) duplicates.add(i)
    }
    await Promise.all(doubtful.map(lookUp))
    return created
  }
  const drafts = jobs.map(({ name }) => draftOf(queue, name))
  return sendAll(kit, drafts, send, (created, i) =>
    duplicates.has(i) || !created[i] ? null : sentAs(vanishing, queue, created[i], jobs[i]!.opts),
  )
}

/** Its id. Whether it goes with the data of its queue is looked for from now on, as for BullMQ: both count their jobs alike. */
function sentAs(vanishing: Vanishing, queue: Queue, job: Job, opts: JobOptions | undefined): string | undefined {
  vanishing.sent(queue, { id: job.id, taskId: taskOf(carrierOf(job)), isNumbered: !mayBeDuplicate(opts) })
  return job.id
}

function isRepeated(opts: unknown): boolean {
  return isObject(opts) && Boolean(opts['repeat'])
}

function mayBeDuplicate(opts: JobOptions | undefined): boolean {
  return Boolean(opts?.jobId || opts?.debounce)
}

interface Sent {
  readonly job: Job
  readonly opts: JobOptions | undefined
  readonly bag: Bag
  /** Id of the job that had its place before. */
  readonly holder: string | undefined
}

/** Of the job whose place is kept for a time: also when it is done and removed. Never rejects. */
async function holderOf(queue: Queue, opts: JobOptions | undefined): Promise<string | undefined> {
  const { id, ttl } = opts?.debounce ?? {}
  if (!id || !ttl) return undefined
  return withoutTracing(async () => (await queue.client.get?.(`${queue.keys['de']}:${id}`)) ?? undefined).catch(
    () => undefined,
  )
}

/** For a job that there is already Bull returns its id as if it were new; what is stored under it tells whose it is. */
async function isDuplicate(Job: JobClass, queue: Queue, { job: { id }, opts, bag, holder }: Sent): Promise<boolean> {
  const traceparent = bag.get('traceparent')
  if (!id || traceparent === undefined || !mayBeDuplicate(opts)) return false
  try {
    const stored = await withoutTracing(() => Job.fromId(queue, id))
    return stored ? carrierOf(stored).get('traceparent') !== traceparent : id === holder
  } catch {
    return false
  }
}

function draftOf({ name: destination }: Queue, name: string | undefined): TaskDraft {
  return { system: 'bull', destination, name: name ?? '__default__', isAwaited: true }
}
