import { context, type Context } from '@opentelemetry/api'

export type Listener = ((...args: unknown[]) => unknown) & { listener?: unknown }
export type AddListener = (event: string | symbol, listener: Listener) => unknown
/** The methods that add one to stay; once() and prependOnceListener() go through them. */
export const ADDING = ['on', 'addListener', 'prependListener'] as const

/** The listener as it runs in a context, whoever fires the event. */
export function boundListener(to: Context, listener: Listener): Listener {
  return standIn(listener, context.bind(to, listener))
}

/** What is added in place of a listener: removeListener() finds it by the app's own. */
export function standIn(listener: Listener, added: Listener): Listener {
  added.listener = listener.listener ?? listener
  return added
}
