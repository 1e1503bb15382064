// A queue that is emptied, cleaned or obliterated, and jobs that are removed, will not be run, and Bull names none of them, or only their
// ids: so what waits is read before, and what is not there any more afterwards is cancelled.
import { withoutTracing, type TaskId, type TaskKit } from '@afterspan/core/internal'
import { taskOf } from '../sending/bag.ts'
import { carrierOf } from './carrier.ts'
import type { Bull, Job, JobClass, Queue } from './shapes.ts'

/** Jobs that are read for one call. What goes beyond them stays open until nobody waits for it any more. */
const MOST_JOBS = 1_000

const WAITING = ['wait', 'paused', 'delayed'] as const
/** As a job itself says it. */
const WAITS = new Set(['waiting', 'paused', 'delayed'])
/** What belongs to a job that waits, and to none that runs or has run, whatever else is in the queue. */
interface Waiting {
  readonly job: Job
  readonly taskId: TaskId
}

export function patchEmptying({ Job, prototype }: Bull, kit: TaskKit): void {
  const around = (
    method: 'clean' | 'empty' | 'obliterate' | 'removeJobs',
    statesOf: (args: readonly unknown[]) => readonly string[],
  ): void => {
    kit.wrap(
      prototype,
      method,
      (original) =>
        async function (this: Queue, ...args) {
          const states = statesOf(args)
          const waiting = states.length > 0 ? await waitingIn(this, states) : []
          const result = await original.apply(this, args)
          await cancelGone(Job, kit, waiting)
          return result
        },
    )
  }
  around('empty', () => WAITING)
  around('obliterate', () => WAITING)
  around('removeJobs', () => WAITING)
  around('clean', ([, type]) => WAITING.filter((state) => state === type))
  kit.wrap(
    Job.prototype,
    'remove',
    (original) =>
      async function (this: Job, ...args) {
        const taskId = taskOf(carrierOf(this))
        const waits = taskId && WAITS.has(await withoutTracing(() => this.getState()).catch(() => ''))
        const result = await original.apply(this, args)
        if (waits) kit.settle(taskId, 'cancelled', 'aborted', 'broker')
        return result
      },
  )
}

/** Never rejects: what could not be asked is not told. */
async function waitingIn(queue: Queue, states: readonly string[]): Promise<readonly Waiting[]> {
  try {
    const jobs = await withoutTracing(() => queue.getJobs(states, 0, MOST_JOBS - 1, true))
    return jobs.slice(0, MOST_JOBS).flatMap((job) => {
      const taskId = job && taskOf(carrierOf(job))
      return taskId ? [{ job, taskId }] : []
    })
  } catch {
    return []
  }
}

async function cancelGone(Job: JobClass, kit: TaskKit, waiting: readonly Waiting[]): Promise<void> {
  const cancel = async ({ job, taskId }: Waiting): Promise<void> => {
    if (await isGone(Job, job)) kit.settle(taskId, 'cancelled', 'aborted', 'broker')
  }
  // What could not be asked is not known.
  if (waiting.length > 0) await withoutTracing(() => Promise.allSettled(waiting.map(cancel)))
}

/** empty() leaves behind what a delayed job is, and takes it from where it waits. One that a worker has at that moment is in two places, or none. */
async function isGone(Job: JobClass, { id, queue }: Job): Promise<boolean> {
  for (let i = 0; i < 2; i++) {
    const job = await Job.fromId(queue, id!)
    if (!job) return true
    if ((await job.getState()) !== 'stuck') return false
  }
  return true
}
