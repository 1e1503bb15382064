// A framework that catches what a handler throws leaves its client's integration to see a handler that went well. What is caught while
// a message is handled is noted here, in the context of the handler.
import { context } from '@opentelemetry/api'

export interface Caught {
  /** What a handler has thrown last. */
  thrown?: { readonly error: unknown }
  /** What the handling of the message has come to, where nobody else tells. */
  failure?: { readonly error: unknown }
}

/** By its name: integrations share nothing. */
const CAUGHT = Symbol.for('afterspan.caught')

/** Runs a handler where what is caught can be noted. */
export function notingCaught<R>(caught: Caught, run: () => R): R {
  return context.with(context.active().setValue(CAUGHT, caught), run)
}
/** Of the message that is being handled; undefined: of none that is followed. */
export function activeCaught(): Caught | undefined {
  return context.active().getValue(CAUGHT) as Caught | undefined
}
