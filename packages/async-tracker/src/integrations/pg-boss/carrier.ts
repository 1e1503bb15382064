// The carrier in the data of a job: under one key, put in when it is sent, taken out before the app sees it.
import { createBag, isObject, type Bag, type Fields } from '../sending/bag.ts'
import type { Job } from './boss.ts'

const KEY = '__afterspan'

/** A copy of the data with the carrier in it; the data itself where it is no plain object: then the message id has to do. */
export function withCarrier(data: unknown, { fields }: Bag, queue: string): unknown {
  try {
    if (!canCarry(data) || Object.keys(fields).length === 0) return data
    return { ...data, [KEY]: { ...fields, queue } }
  } catch {
    return data
  }
}

/** One carrier for several jobs that get the same data: each finds its own by its id. */
export function carrierOfAll(jobs: readonly Job[]): Bag {
  const byId: Fields = {}
  for (const job of jobs) {
    const { fields } = takeCarrier(job)
    if (Object.keys(fields).length > 0) byId[job.id] = fields
  }
  return createBag(Object.keys(byId).length > 0 ? { byId } : {})
}

/** Leaves the job's data as it was sent. */
export function takeCarrier(job: Job): Bag {
  const { data } = job
  if (!isObject(data) || !isObject(data[KEY])) return createBag()
  const { [KEY]: carried, ...rest } = data
  job.data = rest
  const { queue, byId, ...fields } = carried as Fields
  // A dead-letter queue gets a copy of the data: its job is other work than the one that failed.
  if (queue !== job.name) return createBag()
  if (!isObject(byId)) return createBag(fields)
  const own = byId[job.id]
  return createBag(isObject(own) ? { ...own } : {})
}

/** Whether JSON makes of it an object with just its own properties. */
export function canCarry(value: unknown): value is Fields {
  try {
    return (
      isObject(value) &&
      Object.prototype.toString.call(value) === '[object Object]' &&
      typeof value['toJSON'] !== 'function'
    )
  } catch {
    return false
  }
}
