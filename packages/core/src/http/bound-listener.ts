import { EventEmitter } from 'node:events'
import { context, type Context } from '@opentelemetry/api'

export type Listener = ((...args: unknown[]) => unknown) & { listener?: unknown }
export type AddListener = (event: string | symbol, listener: Listener) => unknown
/** The methods that add one to stay; once() and prependOnceListener() go through them. */
export const ADDING = ['on', 'addListener', 'prependListener'] as const

/** The listener as it runs in a context, whoever fires the event. */
export function boundListener(to: Context, event: string | symbol, listener: Listener): Listener {
  return standIn(event, listener, context.bind(to, listener))
}

/** What is added in place of a listener: removeListener() finds it by the app's own. */
export function standIn(event: string | symbol, listener: Listener, instead: Listener): Listener {
  const added = isOfOnce(listener) ? leavingFirst(event, instead) : instead
  added.listener = listener.listener ?? listener
  return added
}

/** What once() adds takes itself away as it is called, and does not find itself where another stands in its place. */
function isOfOnce(listener: Listener): boolean {
  if (listener.listener === undefined) return false
  return leaving.has(listener) || (listener.name === ofOnce.name && String(listener) === String(ofOnce))
}

/** Node has had it in more than one way. */
const ofOnce = ((): Listener => {
  const emitter = new EventEmitter()
  emitter.once('event', () => {})
  return emitter.rawListeners('event')[0] as Listener
})()

/** Those of ours, in whose place another may come to stand. */
const leaving = new WeakSet<Listener>()

function leavingFirst(event: string | symbol, instead: Listener): Listener {
  const added: Listener = function (this: EventEmitter, ...args) {
    this.removeListener(event, added)
    return instead.apply(this, args)
  }
  leaving.add(added)
  return added
}
