// Jobs that the app gets and settles itself: queue.getNextJob() and queue.nextJobFromJobData(), then job.moveToCompleted() and its like.
// The run lasts from the one to the other. A queue that has handlers gets its jobs for these.
import type { AttemptInfo, TaskKit } from '@afterspan/core/internal'
import { failureOf } from '../running/failure-of.ts'
import { isObject } from '../sending/bag.ts'
import { carrierOf } from './carrier.ts'
import type { Job, Queue } from './shapes.ts'

type How = { readonly error: unknown } | 'released' | 'succeeded'
export type End = (how: How) => void

/** Jobs that nobody settles would stay for ever: the oldest go first. */
const MOST_HELD = 10_000
const RELEASED = Symbol('released')

/** Returns how to end the run of a job, where it is one by hand; once. */
export function patchByHand(
  prototype: Queue,
  kit: TaskKit,
  infoOf: (job: Job) => AttemptInfo,
): (job: Job) => End | undefined {
  const held = new Map<string, End>()
  const begin = (job: Job): void => {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const info = infoOf(job)
    const outcomeOf: AttemptInfo['outcomeOf'] = (error) => (error === RELEASED ? 'released' : info.outcomeOf?.(error))
    kit.attempt({ ...info, outcomeOf }, carrierOf(job), () => promise).catch(() => {})
    if (held.size >= MOST_HELD) held.delete(held.keys().next().value!)
    held.set(keyOf(job), (how) => {
      held.delete(keyOf(job))
      if (how === 'succeeded') resolve()
      else reject(how === 'released' ? RELEASED : (how.error ?? failureOf('failed', 'failed by the app')))
    })
  }
  kit.wrap(
    prototype,
    'nextJobFromJobData',
    (original) =>
      function (this: Queue, ...args) {
        const next = original.apply(this, args)
        if (!next || Object.keys(this.handlers).length > 0) return next
        if (next instanceof Promise)
          return next.then((job: unknown) => {
            if (isObject(job)) begin(job as unknown as Job)
            return job
          })
        begin(next as Job)
        return next
      },
  )
  return (job) => (held.size > 0 ? held.get(keyOf(job)) : undefined)
}

function keyOf({ id, queue }: Job): string {
  return `${queue.name} ${id}`
}
