import { AsyncLocalStorage } from 'node:async_hooks'
import { context, ROOT_CONTEXT } from '@opentelemetry/api'
import { copyNature, putMethod } from '../instrument/replace-method.ts'
import { throwerOfNow } from './last-thrower.ts'

/**
 * Where contexts are kept by hooks (Node 22), Node has left the context of a microtask before its handlers hear of what it threw: what
 * is queued within a context leaves a note. Node's own microtasks do not pass here.
 */
export function noteThrowersOfMicrotasks(): void {
  if (!('_propagate' in AsyncLocalStorage.prototype)) return
  const original = globalThis.queueMicrotask
  const queue = function (this: unknown, callback: () => void): void {
    const hasContext = typeof callback === 'function' && context.active() !== ROOT_CONTEXT
    return Reflect.apply(original, this, [hasContext ? noting(callback) : callback])
  }
  putMethod(globalThis, 'queueMicrotask', copyNature(original, queue))
}

function noting(callback: () => void): () => void {
  const note = throwerOfNow()
  return () => {
    let hasThrown = true
    try {
      Reflect.apply(callback, undefined, [])
      hasThrown = false
    } finally {
      if (hasThrown) note()
    }
  }
}
