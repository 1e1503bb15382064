// A deduplicated job may take the place of one that waits: of a delayed one (`replace`), or of the one that was to follow the one that
// runs (`keepLastIfActive`). BullMQ tells the caller of neither; so what has that place is read before, and whether it is gone after.
import { withoutTracing } from '@afterspan/core/internal'
import { taskOf } from '../sending/bag.ts'
import { answersInOrder, clientOf, readBefore, type Script } from '../redis-jobs/before.ts'
import { carrierOf, taskOfStored } from './carrier.ts'
import type { Doubtful } from './emptying.ts'
import type { JobClass, JobOptions, Queue } from './shapes.ts'

/** Who has the place of a deduplicated job before it is added. */
export interface Holder {
  readonly id: string
  /** Then what has `keepLastIfActive` comes after it. */
  readonly isActive: boolean
}

/**
 * The job whose place is kept: also, for a time, when that is done and removed, so that nothing but its id says that a job was not added.
 * Without an id nobody has the place; undefined where it is not known. Never rejects.
 */
export async function holderOf(queue: Queue, opts: JobOptions | undefined): Promise<Holder | undefined> {
  const { id, keepLastIfActive, ttl } = opts?.deduplication ?? opts?.debounce ?? {}
  if (!id) return undefined
  if (keepLastIfActive) return holderOrNext(queue, id)
  if (!ttl) return undefined
  const ask = async (): Promise<string | undefined> => (await queue.getDeduplicationJobId?.(id)) ?? undefined
  const jobId = await withoutTracing(ask).catch(() => undefined)
  return jobId === undefined ? undefined : { id: jobId, isActive: false }
}

/** Its id, and whether it runs. KEYS: who has the place, and what runs. */
const HOLDER: Script = {
  name: 'holder',
  lua: `
local id = redis.call('GET', KEYS[1])
if not id then return { '', '' } end
for _, active in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
  if active == id then return { id, 'active' } end
end
return { id, '' }`,
}

async function holderOrNext(queue: Queue, id: string): Promise<Holder | undefined> {
  if (!queue.toKey || !answersInOrder(queue)) return undefined
  const [jobId, state] = await readBefore(queue, HOLDER, [queue.toKey(`de:${id}`), queue.toKey('active')])
  return jobId === undefined ? undefined : { id: jobId, isActive: state === 'active' }
}

/** Never rejects: what could not be asked is not told. */
export async function replacedBy(
  Job: JobClass,
  queue: Queue,
  opts: JobOptions | undefined,
): Promise<readonly Doubtful[]> {
  const { id, keepLastIfActive, replace } = opts?.deduplication ?? {}
  if (!id || !(keepLastIfActive || replace)) return []
  if (!answersInOrder(queue)) return replace ? delayedByQuestions(Job, queue, id).catch(() => []) : []
  const found = [...(replace ? [delayed(Job, queue, id)] : []), ...(keepLastIfActive ? [following(queue, id)] : [])]
  return (await Promise.all(found)).flat()
}

/** The delayed job that has the place: its id and options. KEYS: who has it, and what is delayed; ARGV: what the keys of jobs begin with. */
const DELAYED: Script = {
  name: 'delayed',
  lua: `
local id = redis.call('GET', KEYS[1])
local opts = id and redis.call('ZSCORE', KEYS[2], id) and redis.call('HGET', ARGV[1] .. id, 'opts')
return opts and { id, opts } or {}`,
}

async function delayed(Job: JobClass, queue: Queue, id: string): Promise<readonly Doubtful[]> {
  if (!queue.toKey) return []
  const keys = [queue.toKey(`de:${id}`), queue.toKey('delayed')]
  const [jobId, opts] = await readBefore(queue, DELAYED, keys, [queue.toKey('')])
  const taskId = opts ? taskOfStored(opts) : undefined
  return taskId ? [{ taskId, isGone: async () => (await Job.fromId(queue, jobId!)) === undefined }] : []
}

async function delayedByQuestions(Job: JobClass, queue: Queue, id: string): Promise<readonly Doubtful[]> {
  return withoutTracing(async () => {
    const jobId = await queue.getDeduplicationJobId?.(id)
    const job = jobId ? await Job.fromId(queue, jobId) : undefined
    const taskId = job && taskOf(carrierOf(job))
    if (!taskId || (await job.getState()) !== 'delayed') return []
    return [{ taskId, isGone: async () => (await Job.fromId(queue, jobId!)) === undefined }]
  })
}

/** Its options and its id. KEYS: where it is kept. */
const FOLLOWING: Script = {
  name: 'following',
  lua: `
local job = redis.call('HMGET', KEYS[1], 'opts', 'jid')
return job[1] and job[2] and job or {}`,
}

/** It is no job yet: when the one that runs has ended, it becomes one. */
async function following(queue: Queue, id: string): Promise<readonly Doubtful[]> {
  const key = queue.toKey?.(`dn:${id}`)
  if (!key) return []
  const [opts, jobId] = await readBefore(queue, FOLLOWING, [key])
  const taskId = opts ? taskOfStored(opts) : undefined
  if (!taskId || !jobId) return []
  const read = async (of: string): Promise<string | null | undefined> => (await clientOf(queue))?.hget?.(of, 'opts')
  const isJob = async (): Promise<boolean> => typeof (await read(queue.toKey!(jobId))) === 'string'
  return [{ taskId, isGone: async () => (await read(key)) !== opts && !(await isJob()) }]
}
