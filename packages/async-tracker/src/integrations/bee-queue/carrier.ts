// bee-queue stores the options of a job as they are, and writes them back whenever a run has ended: the carrier lies there in Redis, and
// beside the job while it is in memory.
import type { TaskKit } from '@afterspan/core/internal'
import { createBag, isObject, type Bag } from '../sending/bag.ts'
import type { Job, JobClass } from './shapes.ts'

const KEY = 'afterspan'

const known = new WeakMap<Job, Bag>()

export function carrierOf(job: Job): Bag {
  return known.get(job) ?? createBag()
}

/** From now on it is stored with the job. */
export function giveCarrier(job: Job, bag: Bag): void {
  known.set(job, bag)
}

export function patchStoring(Job: JobClass, kit: TaskKit): void {
  kit.wrap(
    Job,
    'fromData',
    (original) =>
      function (this: unknown, ...args) {
        const job = original.apply(this, args)
        const { [KEY]: fields } = job.options
        if (isObject(fields)) known.set(job, createBag(fields))
        delete job.options[KEY]
        return job
      },
  )
  kit.wrap(
    Job.prototype,
    'toData',
    (original) =>
      function (this: Job) {
        const { fields } = carrierOf(this)
        if (Object.keys(fields).length === 0) return original.call(this)
        this.options[KEY] = fields
        try {
          return original.call(this)
        } finally {
          delete this.options[KEY]
        }
      },
  )
}
