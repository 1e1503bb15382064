// BullMQ has a place for the trace context: opts.telemetry.metadata, a JSON object, which bullmq-otel reads and writes too. Where the
// app's own telemetry holds that place, ours goes beside it into an option of its own: BullMQ stores options that it does not know.
import type { TaskId } from '@afterspan/core/internal'
import { createBag, isObject, taskOf, type Bag } from '../sending/bag.ts'
import type { Job, JobOptions } from './shapes.ts'

const OWN = 'afterspan'

/** A copy of the options with the carrier in it; the options themselves where the app wants no context in them. */
export function withCarrier(
  opts: JobOptions | undefined,
  { fields }: Bag,
  isPlaceTaken = false,
): JobOptions | undefined {
  if (opts?.telemetry?.omitContext || Object.keys(fields).length === 0) return opts
  if (isPlaceTaken || opts?.telemetry?.metadata !== undefined || opts?.telemetryMetadata !== undefined)
    return { ...opts, [OWN]: fields }
  return { ...opts, telemetry: { ...opts?.telemetry, metadata: JSON.stringify(fields) } }
}

export function carrierOf({ opts }: Pick<Job, 'opts'>): Bag {
  const own = opts?.[OWN]
  if (isObject(own)) return createBag(own)
  const metadata = opts?.telemetry?.metadata ?? opts?.telemetryMetadata
  if (typeof metadata !== 'string') return createBag()
  try {
    const fields: unknown = JSON.parse(metadata)
    return isObject(fields) ? createBag(fields) : createBag()
  } catch {
    return createBag() // the metadata of a telemetry that is not OpenTelemetry's
  }
}

/** Of a job as it is stored: later versions have shorter names for some of its options. */
export function storedCarrierOf({ opts }: { readonly opts?: unknown }): Bag {
  if (!isObject(opts)) return createBag()
  const { tm: metadata } = opts
  return carrierOf({ opts: typeof metadata === 'string' ? { ...opts, telemetry: { metadata } } : (opts as JobOptions) })
}

/** Of a job whose options were read as they are stored. */
export function taskOfStored(opts: string): TaskId | undefined {
  try {
    return taskOf(storedCarrierOf({ opts: JSON.parse(opts) as unknown }))
  } catch {
    return undefined
  }
}
