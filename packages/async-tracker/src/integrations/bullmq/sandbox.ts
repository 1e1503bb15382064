// What goes along with a job into the child process or thread of a sandboxed processor: the span of the attempt, beside what the job
// is, and taken out before the processor sees it.
import { carryAttempt, type TaskKit } from '@afterspan/core/internal'
import { createBag, isObject, type Bag } from '../sending/bag.ts'
import type { BullMQ, Job } from './shapes.ts'

const OWN = 'afterspan'

export function patchSandboxed({ Job: { prototype } }: BullMQ, kit: TaskKit): void {
  kit.wrap(
    prototype,
    'asJSONSandbox',
    (original) =>
      function (this: Job, ...args) {
        const json = original.apply(this, args)
        const bag = createBag()
        carryAttempt(bag)
        return Object.keys(bag.fields).length > 0 ? { ...json, [OWN]: bag.fields } : json
      },
  )
}

export function takeAttempt(job: { [OWN]?: unknown }): Bag {
  const fields = job[OWN]
  delete job[OWN]
  return createBag(isObject(fields) ? fields : undefined)
}
