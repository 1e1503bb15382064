import type { Context } from '@opentelemetry/api'
import type { EventEmitter } from 'node:events'
import { ADDING, boundListener, type AddListener } from '../http/bound-listener.ts'
import { putMethod } from '../instrument/replace-method.ts'

const bound = new WeakSet<EventEmitter>()

/** As the API promises of `context.bind()`: listeners that are added from now on run in the context. The first one stays, as in the official SDK. */
export function bindEmitter<E extends EventEmitter>(emitter: E, to: Context): E {
  if (bound.has(emitter)) return emitter
  bound.add(emitter)
  for (const method of ADDING) {
    const original = emitter[method] as AddListener
    const add: AddListener = function (this: EventEmitter, event, listener) {
      return original.call(this, event, typeof listener === 'function' ? boundListener(to, event, listener) : listener)
    }
    putMethod(emitter, method, add)
  }
  return emitter
}
