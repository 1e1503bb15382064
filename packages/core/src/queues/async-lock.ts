// async-lock. What waits for a lock is called by whoever gives it back.
import { replaceMethod } from '../instrument/replace-method.ts'
import { keepContext } from './kept-context.ts'

interface Lock {
  readonly queues?: Record<PropertyKey, unknown[] | undefined>
}

export function patch(AsyncLock: { readonly prototype: object }): undefined {
  replaceMethod(
    AsyncLock.prototype,
    'acquire',
    (original) =>
      function (this: Lock, key: PropertyKey, ...rest) {
        if (Array.isArray(key)) return original.call(this, key, ...rest)
        const before = this.queues?.[key]?.length ?? 0
        const result = original.call(this, key, ...rest)
        const waiting = this.queues?.[key] ?? []
        // One that may skip the queue stands at its head.
        const at = isFirst(rest) ? 0 : waiting.length - 1
        if (waiting.length > before) waiting[at] = keepContext(waiting[at])
        return result
      },
  )
}

/** acquire(key, fn, callback, options), or without the callback. */
function isFirst([, callback, options]: readonly unknown[]): boolean {
  const given = (typeof callback === 'function' ? options : callback) as { readonly skipQueue?: unknown } | undefined
  return Boolean(given?.skipQueue)
}
