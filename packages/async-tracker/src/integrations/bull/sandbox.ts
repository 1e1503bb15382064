// What goes along with a job into the child process of a handler that is a file: what its message carries, and the span of the attempt,
// beside what the job is; taken out there before the handler sees it.
import { carryAttempt } from '@afterspan/core/internal'
import { createBag, isObject, type Bag } from '../sending/bag.ts'
import { carrierOf } from './carrier.ts'
import type { Handler, Job } from './shapes.ts'

const OWN = 'afterspan'

/** A handler that sends the job to a child process: this one sends more. */
export function sandboxed(handler: Handler): Handler {
  return function (job, ...args) {
    const attempt = createBag()
    carryAttempt(attempt)
    const message = carrierOf(job)
    if (Object.keys(message.fields).length === 0) return handler.call(this, job, ...args)
    const toJSON = (): object => ({ ...job.toJSON(), [OWN]: { message: message.fields, attempt: attempt.fields } })
    return handler.call(this, sentAs(job, toJSON), ...args)
  }
}

/** The job itself but for what is sent of it. Its methods are called on the job: they tell the app which one it was. */
function sentAs(job: Job, toJSON: () => object): Job {
  return new Proxy(job, {
    get(of, key) {
      if (key === 'toJSON') return toJSON
      const value = Reflect.get(of, key) as unknown
      return typeof value === 'function' && key !== 'constructor' ? (value.bind(of) as unknown) : value
    },
  })
}

export interface Carried {
  readonly message: Bag
  readonly attempt: Bag
}

/** Leaves the job as the app gave it. */
export function takeCarried(job: { [OWN]?: unknown }): Carried {
  const carried = isObject(job[OWN]) ? job[OWN] : {}
  delete job[OWN]
  const bagOf = (fields: unknown): Bag => createBag(isObject(fields) ? fields : undefined)
  return { message: bagOf(carried['message']), attempt: bagOf(carried['attempt']) }
}
