// A framework that catches what a handler throws leaves its client's integration to see a handler that went well. What is caught while
// a message is handled is noted here, in the context of the handler.
import { types } from 'node:util'
import { context } from '@opentelemetry/api'
import type { AttemptInfo, Carrier, TaskKit } from '@afterspan/core/internal'

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

/**
 * A run whose handler a framework stands for: it gives the client something of its own for what the app threw ('Internal server error'),
 * which is no error. The run fails with the app's, and the client gets what it would have got.
 */
export function attemptThrown(
  kit: Pick<TaskKit, 'attempt'>,
  info: AttemptInfo,
  carrier: Carrier,
  run: () => unknown,
): unknown {
  const caught: Caught = {}
  let instead: { readonly error: unknown } | undefined
  const result: unknown = kit.attempt(info, carrier, () => {
    const handled = notingCaught(caught, run)
    if (!types.isPromise(handled)) return handled
    return handled.catch((error: unknown) => {
      if (!caught.thrown || error instanceof Error) throw error
      instead = { error }
      throw caught.thrown.error
    })
  })
  if (!types.isPromise(result)) return result
  return result.catch((error: unknown) => {
    throw instead ? instead.error : error
  })
}
