import type { Carrier, TaskId } from '@afterspan/core/internal'

export type Fields = Record<string, unknown>
/** A carrier whose content can be laid into a message. What comes from outside may hold anything: only strings are read. */
export interface Bag extends Carrier {
  readonly fields: Fields
}

export function createBag(fields: Fields = {}): Bag {
  return {
    fields,
    get: (key) => (typeof fields[key] === 'string' ? fields[key] : undefined),
    set(key, value) {
      fields[key] = value
    },
  }
}

/** The task that the carrier names, where the propagator is the W3C one. */
export function taskOf(bag: Bag): TaskId | undefined {
  const [, traceId, spanId] = /^00-([0-9a-f]{32})-([0-9a-f]{16})-/.exec(bag.get('traceparent') ?? '') ?? []
  return traceId && spanId ? (`${traceId}${spanId}` as TaskId) : undefined
}

export function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null
}
