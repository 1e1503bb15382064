// Older versions of BullMQ fail a parent together with its child, within Redis: no worker ever gets it, and none tells of it. So who fails
// the child looks whether its parent has failed by that, and the parent's own.
import { withoutTracing, type TaskKit } from '@afterspan/core/internal'
import { isObject, taskOf } from '../sending/bag.ts'
import { clientOf } from '../redis-jobs/before.ts'
import { storedCarrierOf } from './carrier.ts'
import type { RedisClient } from '../redis-jobs/shapes.ts'
import type { Job } from './shapes.ts'

const MOST_GENERATIONS = 20

/** Never rejects: what could not be asked is not told. */
export async function tellParents(kit: TaskKit, { opts, parentKey, queue }: Job): Promise<void> {
  if (!parentKey || !opts.failParentOnFailure) return
  try {
    const client = await clientOf(queue)
    if (client?.hget) await withoutTracing(() => tellFrom(kit, client, parentKey))
  } catch {
    // the connection is gone, or what is stored is not BullMQ's: it is not known
  }
}

async function tellFrom(kit: TaskKit, client: RedisClient, from: string): Promise<void> {
  let key: string | null | undefined = from
  for (let i = 0; key && i < MOST_GENERATIONS; i++) {
    const read = (field: string): Promise<string | null | undefined> => client.hget!(key!, field)
    const [stored, finishedOn, reason, parentKey] = await Promise.all(
      ['opts', 'finishedOn', 'failedReason', 'parentKey'].map(read),
    )
    // Later versions let a worker fail it, which tells of it.
    if (!stored || !finishedOn || !reason) return
    const opts: unknown = JSON.parse(stored)
    const taskId = taskOf(storedCarrierOf({ opts }))
    const failure = { type: 'UnrecoverableError', message: reason }
    if (taskId) kit.settle(taskId, 'failed', 'retries_exhausted', 'broker', failure)
    key = isObject(opts) && (opts['fpof'] || opts['failParentOnFailure']) ? parentKey : undefined
  }
}
