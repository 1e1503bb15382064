// Bull stores options that it does not know, and gives them to nobody but the app: the carrier lies there under one key, is put in as a
// job is sent, and taken out before anybody sees the job.
import type { TaskId, TaskKit } from '@afterspan/core/internal'
import { createBag, isObject, taskOf, type Bag } from '../sending/bag.ts'
import type { Bull, Job, JobOptions } from './shapes.ts'

const KEY = 'afterspan'

interface Read {
  readonly bag: Bag
  /** Runs before this one that Bull does not count: their workers have gone. */
  readonly stalls: number
}

/** Of each job that was sent or read. */
const known = new WeakMap<Job, Read>()

export function withCarrier(opts: JobOptions | undefined, { fields }: Bag): JobOptions | undefined {
  return Object.keys(fields).length === 0 ? opts : { ...opts, [KEY]: fields }
}

/** Leaves the options, which are Bull's own copy, as they were given, and knows from now on what they held. */
export function takeCarrier(job: Job, stalls = 0): Job {
  const { opts } = job
  const fields = opts[KEY]
  delete opts[KEY]
  if (isObject(fields) || stalls > 0) known.set(job, { bag: createBag(isObject(fields) ? fields : {}), stalls })
  return job
}

export function carrierOf(job: Job): Bag {
  return known.get(job)?.bag ?? createBag()
}

/** Of a job whose options were read as they are stored. */
export function taskOfStored(opts: string): TaskId | undefined {
  try {
    const { [KEY]: fields } = JSON.parse(opts) as JobOptions
    return taskOf(createBag(isObject(fields) ? fields : {}))
  } catch {
    return undefined
  }
}

export function stallsOf(job: Job): number {
  return known.get(job)?.stalls ?? 0
}

export function patchReading({ Job }: Bull, kit: TaskKit): void {
  kit.wrap(
    Job,
    'fromJSON',
    (original) =>
      function (this: unknown, queue, json, ...args) {
        return takeCarrier(original.call(this, queue, json, ...args), Number(json.stalledCounter) || 0)
      },
  )
}
