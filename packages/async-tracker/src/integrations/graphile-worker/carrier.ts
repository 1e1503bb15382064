// The carrier travels as one of a job's flags: text that is stored with the job, that a new job under the same key brings along, and
// that no worker minds unless it forbids it. So the payload, which is the app's, stays as it is, also for workers without Afterspan.
import { createBag, isObject, type Bag, type Fields } from '../sending/bag.ts'
import type { Job, Spec } from './shapes.ts'

const OURS = 'afterspan:'

/** A copy of the job's specification with the carrier in it. */
export function withCarrier<T extends Spec>(spec: T | null | undefined, { fields }: Bag): T {
  const flags: readonly unknown[] = Array.isArray(spec?.flags) ? spec.flags : []
  return { ...(spec as T), flags: [...flags, OURS + JSON.stringify(fields)] }
}

/** The row then shows the flags that the app has given. */
export function takeCarrier(job: Job): Bag {
  const { flags } = job
  const ours = isObject(flags) ? Object.keys(flags).find((flag) => flag.startsWith(OURS)) : undefined
  if (ours === undefined) return createBag()
  const { [ours]: _, ...rest } = flags as Fields
  job.flags = Object.keys(rest).length > 0 ? rest : null
  try {
    const fields: unknown = JSON.parse(ours.slice(OURS.length))
    return isObject(fields) ? createBag(fields) : createBag()
  } catch {
    return createBag()
  }
}
