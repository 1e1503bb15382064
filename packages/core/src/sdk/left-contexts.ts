// Where Node has left a context before its handlers hear of what was thrown in it, that leaves a note.
import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'
import { context, ROOT_CONTEXT, type Context } from '@opentelemetry/api'
import { copyNature, putMethod } from '../instrument/replace-method.ts'
import { noteThrower, throwerOfNow } from './last-thrower.ts'

export function watchLeftContexts(): void {
  watchMicrotasks()
  watchBound()
}

/** Where contexts are kept by hooks (Node 22): what is queued within a context. Node's own microtasks do not pass here. */
function watchMicrotasks(): void {
  if (!('_propagate' in AsyncLocalStorage.prototype)) return
  const original = globalThis.queueMicrotask
  const queue = function (this: unknown, callback: () => void): void {
    const hasContext = typeof callback === 'function' && context.active() !== ROOT_CONTEXT
    return Reflect.apply(original, this, [hasContext ? notingMicrotask(callback) : callback])
  }
  putMethod(globalThis, 'queueMicrotask', copyNature(original, queue))
}

function notingMicrotask(callback: () => void): () => void {
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

type RunInScope = (this: AsyncResource, ...args: unknown[]) => unknown

/**
 * What is bound by `AsyncResource.bind`, `AsyncLocalStorage.bind` or `snapshot`, which all come here: where it is called from is put
 * back. What runs in a scope without being bound (on-finished, raw-body, each microtask) has nothing of ours on its stack.
 */
function watchBound(): void {
  const { prototype } = AsyncResource
  const original = prototype.bind as (this: AsyncResource, ...args: unknown[]) => unknown
  const bind = function (this: AsyncResource, ...args: unknown[]): unknown {
    if (this instanceof AsyncResource && this.runInAsyncScope === prototype.runInAsyncScope)
      putMethod(this, 'runInAsyncScope', noting(prototype.runInAsyncScope as RunInScope))
    return Reflect.apply(original, this, args)
  }
  putMethod(prototype, 'bind', copyNature(original, bind))
}

function noting(run: RunInScope): RunInScope {
  return copyNature(run, function (this: AsyncResource, ...args: unknown[]): unknown {
    let hasThrown = true
    try {
      const result = Reflect.apply(run, this, args)
      hasThrown = false
      return result
    } finally {
      if (hasThrown) noteScope(this, run)
    }
  })
}

function noteScope(resource: AsyncResource, run: RunInScope): void {
  try {
    noteThrower(Reflect.apply(run, resource, [() => context.active()]) as Context)
  } catch {
    // the stack ran over: the app is to see its own error
  }
}
