import type { Callback } from './shapes.ts'

/** A call that takes a callback, as a promise. */
export function promised<R>(call: (callback: Callback<R>) => unknown): Promise<R> {
  return new Promise((resolve, reject) => {
    call((error, result) => {
      if (error) reject(error as Error)
      else resolve(result as R)
    })
  })
}

/** The answer in the way that the caller asked for. What its callback throws is thrown as it would be: by nobody's promise. */
export function answer<R>(result: Promise<R>, callback: Callback<R> | undefined): Promise<R> | undefined {
  if (typeof callback !== 'function') return result
  const call = (...args: Parameters<Callback<R>>): void => {
    queueMicrotask(() => {
      callback(...args)
    })
  }
  result.then(
    (value) => {
      call(null, value)
    },
    (error: unknown) => {
      call(error)
    },
  )
  return undefined
}
