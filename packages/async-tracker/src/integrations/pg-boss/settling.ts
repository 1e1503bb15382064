// What the app says of jobs itself: complete(), fail(), cancel(), deleteJob(); and what it reads of them.
import { toFailure, type TaskId } from '@afterspan/core/internal'
import { failureOf } from '../running/failure-of.ts'
import { isObject, taskOf } from '../sending/bag.ts'
import type { Job } from './boss.ts'
import { takeCarrier } from './carrier.ts'
import { errorOf, type Held } from './held.ts'
import { onCall, type Patch } from './patch.ts'
import { inTime } from './turns.ts'

/** The tasks behind the ids of cancel() and deleteJob() are looked up one by one; not of more than this. */
const MOST_LOOKUPS = 100

const METHODS = ['complete', 'fail', 'cancel', 'deleteJob'] as const

/** Ends the attempts that this process holds, and the tasks of jobs that nobody has begun. */
export function patchSettlers(patch: Patch): void {
  const { find, held, kit } = patch
  for (const method of METHODS)
    onCall(
      patch,
      method,
      async (original, self, args) => {
        const isRemoval = method === 'cancel' || method === 'deleteJob'
        const [queue, id, data, last] = args
        const settings = isRemoval ? data : last
        const isInTransaction = isObject(settings) && settings['db'] !== undefined
        const takesWaiting = method !== 'complete' || (isObject(settings) && settings['includeQueued'] === true)
        const ids = idsOf(id)
        const unheld = ids.filter((jobId) => !held.has(jobId))
        const waiting =
          takesWaiting && !isInTransaction && unheld.length <= MOST_LOOKUPS
            ? await inTime(
                waitingTasks((jobId) => find(self, String(queue), jobId), unheld),
                undefined,
              )
            : undefined
        const response = await original.apply(self, args)
        for (const jobId of touched(ids, response)) {
          const attempt = held.get(jobId)
          if (attempt) settle(attempt, method, data, isInTransaction)
          const { taskId, isLastRun } = waiting?.get(jobId) ?? {}
          if (!taskId) continue
          if (method !== 'fail') kit.settle(taskId, 'cancelled', 'aborted', 'broker')
          else if (isLastRun) kit.settle(taskId, 'failed', 'dead_lettered', 'broker', toFailure(errorOf(data)))
        }
        return response
      },
      true,
    )
}

function settle(attempt: Held, method: (typeof METHODS)[number], data: unknown, isInTransaction: boolean): void {
  if (method === 'fail') attempt.fail(errorOf(data))
  else if (method !== 'complete') attempt.fail(failureOf('cancelled', 'the job was cancelled'), 'cancelled')
  // In the transaction of a handler that may still throw, and then it counts for nothing.
  else if (attempt.isByHand || !isInTransaction) attempt.succeed()
}

/** getJobById() and findJobs() show the data as it was sent. */
export function patchReaders(patch: Patch): void {
  for (const method of ['getJobById', 'findJobs'] as const)
    onCall(patch, method, async (original, self, args) => {
      const found = await original.apply(self, args)
      for (const job of Array.isArray(found) ? found : [found]) if (isObject(job)) takeCarrier(job as Job)
      return found
    })
}

interface Waiting {
  readonly taskId: TaskId
  /** Of a job that fails while it waits pg-boss makes one that is to be tried again, as long as it may be. */
  readonly isLastRun: boolean
}

/** Of jobs that no worker has: what becomes of the others is told by those who run them. */
async function waitingTasks(
  find: (id: string) => Promise<Job | null>,
  ids: readonly string[],
): Promise<ReadonlyMap<string, Waiting>> {
  const tasks = new Map<string, Waiting>()
  for (const found of await Promise.allSettled(ids.map(find))) {
    const job = found.status === 'fulfilled' ? found.value : null
    if (job?.['state'] !== 'created' && job?.['state'] !== 'retry') continue
    const taskId = taskOf(takeCarrier(job))
    if (taskId) tasks.set(job.id, { taskId, isLastRun: Number(job['retryCount']) >= Number(job['retryLimit']) })
  }
  return tasks
}

/** Which jobs a statement changed; older versions tell only how many, and then all of them are meant, or none. */
function touched(ids: readonly string[], response: unknown): readonly string[] {
  const { affected, settled } = isObject(response) ? response : {}
  if (Array.isArray(settled)) return settled as string[]
  return affected === 0 ? [] : ids
}

/** By id or by job, one or several. */
function idsOf(id: unknown): string[] {
  return (Array.isArray(id) ? id : [id])
    .map((item: unknown) => (isObject(item) ? item['id'] : item))
    .filter((item) => typeof item === 'string')
}
