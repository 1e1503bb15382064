// A deduplicated job may take the place of one that waits: of a delayed one (`replace`), or of the one that was to follow the one that
// runs (`keepLastIfActive`). BullMQ tells the caller of neither; so what has that place is read before, and whether it is gone after.
import { withoutTracing } from '@afterspan/core/internal'
import { taskOf } from '../sending/bag.ts'
import { carrierOf, storedCarrierOf } from './carrier.ts'
import { clientOf, type Doubtful } from './emptying.ts'
import type { JobClass, JobOptions, Queue } from './shapes.ts'

/**
 * The id of the job whose place is kept for a time: also when that job is done and removed, so that nothing but its id says that a job
 * was not added. Never rejects.
 */
export async function holderOf(queue: Queue, opts: JobOptions | undefined): Promise<string | undefined> {
  const { id, ttl } = opts?.deduplication ?? opts?.debounce ?? {}
  if (!id || !ttl) return undefined
  return withoutTracing(async () => (await queue.getDeduplicationJobId?.(id)) ?? undefined).catch(() => undefined)
}

/** Never rejects: what could not be asked is not told. */
export async function replacedBy(Job: JobClass, queue: Queue, opts: JobOptions | undefined): Promise<Doubtful[]> {
  const { id, keepLastIfActive, replace } = opts?.deduplication ?? {}
  if (!id || !(keepLastIfActive || replace)) return []
  return withoutTracing(async () => {
    const found = [replace && (await delayed(Job, queue, id)), keepLastIfActive && (await following(queue, id))]
    return found.filter((each) => typeof each === 'object')
  }).catch(() => [])
}

async function delayed(Job: JobClass, queue: Queue, id: string): Promise<Doubtful | undefined> {
  const jobId = await queue.getDeduplicationJobId?.(id)
  const job = jobId ? await Job.fromId(queue, jobId) : undefined
  const taskId = job && taskOf(carrierOf(job))
  if (!taskId || (await job.getState()) !== 'delayed') return undefined
  return { taskId, isGone: async () => (await Job.fromId(queue, jobId!)) === undefined }
}

/** It is no job yet: when the one that runs has ended, it becomes one. */
async function following(queue: Queue, id: string): Promise<Doubtful | undefined> {
  const client = await clientOf(queue)
  const key = queue.toKey?.(`dn:${id}`)
  if (!key || typeof client?.hget !== 'function') return undefined
  const read = (): Promise<string | null | undefined> => client.hget!(key, 'opts')
  const [opts, jobId] = [await read(), await client.hget(key, 'jid')]
  const taskId = opts ? taskOf(storedCarrierOf({ opts: JSON.parse(opts) as unknown })) : undefined
  if (!taskId || !jobId) return undefined
  const isJob = async (): Promise<boolean> => typeof (await client.hget!(queue.toKey!(jobId), 'opts')) === 'string'
  return { taskId, isGone: async () => (await read()) !== opts && !(await isJob()) }
}
