// Where Node has left a context before its handlers hear of what was thrown in it, that leaves a note.
import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'
import { context, ROOT_CONTEXT, type Context } from '@opentelemetry/api'
import { copyNature, putMethod } from '../instrument/replace-method.ts'
import { noteThrower, throwerOfNow } from './last-thrower.ts'

export function watchLeftContexts(): void {
  watchMicrotasks()
  watchScopes()
}

/** Where contexts are kept by hooks (Node 22): what is queued within a context. Node's own microtasks do not pass here. */
function watchMicrotasks(): void {
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

type RunInScope = (this: AsyncResource, fn: () => unknown, ...rest: unknown[]) => unknown

/** An AsyncResource puts that of its caller back. `AsyncResource.bind`, `AsyncLocalStorage.bind` and `snapshot` come here, too. */
function watchScopes(): void {
  const original = AsyncResource.prototype.runInAsyncScope as RunInScope
  const run: RunInScope = function (...args) {
    let hasThrown = true
    try {
      const result = Reflect.apply(original, this, args)
      hasThrown = false
      return result
    } finally {
      if (hasThrown) noteScope(this, original)
    }
  }
  putMethod(AsyncResource.prototype, 'runInAsyncScope', copyNature(original, run))
}

function noteScope(resource: AsyncResource, run: RunInScope): void {
  try {
    noteThrower(Reflect.apply(run, resource, [() => context.active()]) as Context)
  } catch {
    // it is no resource, or the stack ran over: the app is to see its own error
  }
}
