// Whose message it is, where somebody between the app and amqplib keeps it for a while: noted at its options, which come along.
import { context, type Context } from '@opentelemetry/api'
import { isObject } from '../sending/bag.ts'

/** By its name: integrations share nothing. */
const SENDER = Symbol.for('afterspan.sender')

export function noteSender(options: unknown): void {
  if (isObject(options) && Object.isExtensible(options))
    Object.defineProperty(options, SENDER, { value: context.active(), configurable: true })
}

/** Publishes in the context of who gave the message, or of this moment. */
export function asSender<R>(options: unknown, publish: () => R): R {
  const sender = isObject(options) ? (options as { readonly [SENDER]?: Context })[SENDER] : undefined
  return sender ? context.with(sender, publish) : publish()
}
