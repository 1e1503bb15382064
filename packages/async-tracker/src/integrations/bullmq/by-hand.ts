// Jobs that the app gets and settles itself: worker.getNextJob(), or what a job that it settles fetches with that, and then
// job.moveToCompleted(), moveToFailed() and their like. The run lasts from the one to the other.
import type { AttemptInfo, TaskKit } from '@afterspan/core/internal'
import { failureOf } from '../running/failure-of.ts'
import { carrierOf } from './carrier.ts'
import type { BullMQ, Job, Settling } from './shapes.ts'

type How = { readonly error: unknown } | 'released' | 'succeeded' | undefined

/** Jobs that nobody settles would stay for ever: the oldest go first. */
const MOST_HELD = 10_000
const RELEASED = Symbol('released')

/** `infoOf`: of a run of the job by whatever it was got by. */
export function patchByHand({ Job, Worker }: BullMQ, kit: TaskKit, infoOf: (job: Job) => AttemptInfo): void {
  const held = new Map<string, (how: How) => void>()
  const begin = (job: Job): void => {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const info = infoOf(job)
    const outcomeOf: AttemptInfo['outcomeOf'] = (error) => (error === RELEASED ? 'released' : info.outcomeOf?.(error))
    kit.attempt({ ...info, outcomeOf }, carrierOf(job), () => promise).catch(() => {})
    if (held.size >= MOST_HELD) held.delete(held.keys().next().value!)
    held.set(keyOf(job), (how) => {
      if (how === 'succeeded') resolve()
      else if (how) reject(how === 'released' ? RELEASED : how.error)
    })
  }
  const fetched = (by: Job, result: unknown): void => {
    const [json, id] = Array.isArray(result) ? (result as unknown[]) : []
    if (typeof json === 'object' && json !== null && typeof id === 'string' && by.queue)
      begin(Job.fromJSON(by.queue, json, id))
  }
  kit.wrap(
    Worker.prototype,
    'getNextJob',
    (original) =>
      async function (this: unknown, ...args) {
        const job = await original.apply(this as never, args)
        if (job) begin(job)
        return job
      },
  )
  const settles = (method: keyof Settling, howOf: (args: readonly unknown[], result: unknown) => How): void => {
    kit.wrap(
      Job.prototype,
      method,
      (original) =>
        function (this: Job, ...args) {
          const end = held.size > 0 && held.get(keyOf(this))
          if (!end) return original.apply(this, args)
          return original.apply(this, args).then((result) => {
            const how = howOf(args, result)
            if (how) held.delete(keyOf(this))
            end(how)
            fetched(this, result)
            return result
          })
        },
    )
  }
  settles('moveToCompleted', () => 'succeeded')
  settles('moveToFailed', ([error]) => ({ error: error ?? failureOf('failed', 'failed by the app') }))
  settles('moveToDelayed', () => 'released')
  settles('moveToWait', () => 'released')
  settles('moveToWaitingChildren', (_, isWaiting) => (isWaiting ? 'released' : undefined))
}

function keyOf({ id, queue }: Job): string {
  return `${queue?.name} ${id}`
}
