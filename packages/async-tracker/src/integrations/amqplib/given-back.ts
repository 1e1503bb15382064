// Messages without a context and an id that this process has given back: the broker brings them again, and only what is in them tells
// that they are the same. Nothing of that is written down.
import { createHash } from 'node:crypto'
import { context, propagation } from '@opentelemetry/api'
import { createBag, type Bag } from '../sending/bag.ts'
import type { Message } from './shapes.ts'

/** Of different content. */
const MOST = 1_000
/** It comes to the front of its queue: what is brought later than this may be another of the same content. */
const LONGEST_MS = 300_000
const MOST_BYTES = 128 * 1024

/** The run of such a message. */
export interface Nameless {
  /** What names the task that its first run is: this one, where there is none. */
  carrier: Bag | undefined
  /** The run is the active span. */
  begun(): void
  givenBack(): void
}
interface Given {
  readonly carrier: Bag
  readonly at: number
}

const given = new Map<string, Given[]>()

/** Undefined where it is known by something else. */
export function namelessOf(queue: string, message: Message, carried: Bag): Nameless | undefined {
  const { content, fields, properties } = message
  if (carried.get('traceparent') !== undefined || typeof properties.messageId === 'string') return undefined
  if (!Buffer.isBuffer(content) || content.length > MOST_BYTES) return undefined
  const key = (): string => keyOf(queue, fields, content)
  return {
    carrier: fields.redelivered && given.size > 0 ? take(key()) : undefined,
    begun() {
      if (this.carrier) return
      this.carrier = createBag()
      propagation.inject(context.active(), this.carrier.fields)
    },
    givenBack() {
      if (this.carrier) keep(key(), this.carrier)
    },
  }
}

function keep(key: string, carrier: Bag): void {
  const known = given.get(key) ?? []
  if (known.length === 0 && given.size >= MOST) given.delete(given.keys().next().value!)
  if (known.length < MOST) given.set(key, [...known, { carrier, at: performance.now() }])
}

function take(key: string): Bag | undefined {
  const since = performance.now() - LONGEST_MS
  const [first, ...rest] = (given.get(key) ?? []).filter(({ at }) => at >= since)
  if (rest.length > 0) given.set(key, rest)
  else given.delete(key)
  return first?.carrier
}

function keyOf(queue: string, { exchange, routingKey }: Message['fields'], content: Buffer): string {
  return [queue, exchange, routingKey, createHash('sha256').update(content).digest('base64')].join('\0')
}
