// Whose message it is, where somebody between the app and amqplib keeps it for a while: noted at its options, which come along.
import { context, type Context } from '@opentelemetry/api'
import type { SentAs } from '@afterspan/core/internal'
import { isObject, type Bag } from '../sending/bag.ts'

/** By its name: integrations share nothing. */
const SENDER = Symbol.for('afterspan.sender')
const KEPT = Symbol.for('afterspan.kept')

/** A message that is a task already, since who gave it has been answered. Whoever keeps it says how sending it went. */
export interface Kept {
  readonly bag: Bag
  /** What the broker's answer makes of it: known when it is published. */
  sentAs?: SentAs
  /** Of a plain channel: its bytes have left the process. */
  left?: Promise<void>
}

export function noteSender(options: unknown, kept?: Kept): void {
  if (!isObject(options) || !Object.isExtensible(options)) return
  Object.defineProperty(options, SENDER, { value: context.active(), configurable: true })
  if (kept) Object.defineProperty(options, KEPT, { value: kept, configurable: true })
}

export function keptOf(options: unknown): Kept | undefined {
  return isObject(options) ? (options as { readonly [KEPT]?: Kept })[KEPT] : undefined
}

/** Publishes in the context of who gave the message, or of this moment. */
export function asSender<R>(options: unknown, publish: () => R): R {
  const sender = isObject(options) ? (options as { readonly [SENDER]?: Context })[SENDER] : undefined
  return sender ? context.with(sender, publish) : publish()
}
