// A queue that is emptied, cleaned or obliterated, and jobs that are removed, will not be run, and Bull names none of them, or only their
// ids: so what waits is read before, and what is not there any more afterwards is cancelled.
import { withoutTracing, type TaskId, type TaskKit } from '@afterspan/core/internal'
import { MOST_JOBS, pairsOf, readBefore, UNFINISHED, WAITING } from '../redis-jobs/before.ts'
import { taskOfStored } from './carrier.ts'
import type { Bull, Job, JobClass, Queue } from './shapes.ts'

const STATES = ['wait', 'paused', 'delayed'] as const
interface Waiting {
  readonly id: string
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
          const waiting = waitingIn(this, statesOf(args))
          const result = await original.apply(this, args)
          await cancelGone(Job, kit, this, await waiting)
          return result
        },
    )
  }
  around('empty', () => STATES)
  around('obliterate', () => STATES)
  around('removeJobs', () => STATES)
  around('clean', ([, type]) => STATES.filter((state) => state === type))
  kit.wrap(
    Job.prototype,
    'remove',
    (original) =>
      async function (this: Job, ...args) {
        const task = unfinishedTask(this)
        const result = await original.apply(this, args)
        const taskId = await task
        if (taskId) kit.settle(taskId, 'cancelled', 'aborted', 'broker')
        return result
      },
  )
}

/** Never rejects, as the next: what could not be asked is not told. Jobs beyond the most that are read stay open until nobody waits for them any more. */
async function waitingIn(queue: Queue, states: readonly string[]): Promise<readonly Waiting[]> {
  if (states.length === 0) return []
  const keys = states.map((state) => queue.toKey(state))
  const found = await readBefore(queue, WAITING, keys, [queue.toKey(''), String(MOST_JOBS)])
  return pairsOf(found).flatMap(([id, opts]) => {
    const taskId = taskOfStored(opts)
    return taskId ? [{ id, taskId }] : []
  })
}

async function unfinishedTask({ id, queue }: Job): Promise<TaskId | undefined> {
  if (!id) return undefined
  const [opts] = await readBefore(queue, UNFINISHED, [queue.toKey(id), queue.toKey('active')], [id, '0'])
  return opts ? taskOfStored(opts) : undefined
}

async function cancelGone(Job: JobClass, kit: TaskKit, queue: Queue, waiting: readonly Waiting[]): Promise<void> {
  const cancel = async ({ id, taskId }: Waiting): Promise<void> => {
    if (await isGone(Job, queue, id)) kit.settle(taskId, 'cancelled', 'aborted', 'broker')
  }
  // What could not be asked is not known.
  if (waiting.length > 0) await withoutTracing(() => Promise.allSettled(waiting.map(cancel)))
}

/** empty() leaves behind what a delayed job is, and takes it from where it waits. One that a worker has at that moment is in two places, or none. */
async function isGone(Job: JobClass, queue: Queue, id: string): Promise<boolean> {
  for (let i = 0; i < 2; i++) {
    const job = await Job.fromId(queue, id)
    if (!job) return true
    if ((await job.getState()) !== 'stuck') return false
  }
  return true
}
