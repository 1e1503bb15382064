import { types } from 'node:util'

/** What a run came to. `isSync`: it returned or threw, and its caller goes on at once. */
export interface RunObserver {
  onSuccess(value: unknown, isSync: boolean): void
  onFailure(error: unknown, isSync: boolean): void
  /** Of the two above, when they throw themselves: nothing of that reaches the app. */
  onError(error: unknown): void
}

/**
 * Calls `run` once and looks at how it ends without standing in its way. A promise comes back as its own `then`: a second branch
 * beside the app's would make Node take a rejection for handled. Other thenables are lazy in some libraries (calling `then` runs
 * them), so they are only adopted where the caller is going to await them anyway.
 */
export function observe<R>(run: () => R, observer: RunObserver, adoptThenables = false): R {
  const quietly = (tell: () => void): void => {
    try {
      tell()
    } catch (error) {
      observer.onError(error)
    }
  }
  let result: R
  try {
    result = run()
  } catch (error) {
    quietly(() => {
      observer.onFailure(error, true)
    })
    throw error
  }
  const promise = asPromise(result, adoptThenables)
  if (!promise) {
    quietly(() => {
      observer.onSuccess(result, true)
    })
    return result
  }
  return promise.then(
    (value) => {
      quietly(() => {
        observer.onSuccess(value, false)
      })
      return value
    },
    (error: unknown) => {
      quietly(() => {
        observer.onFailure(error, false)
      })
      throw error
    },
  ) as R
}

function asPromise(result: unknown, adoptThenables: boolean): Promise<unknown> | undefined {
  if (types.isPromise(result)) return result
  return adoptThenables && isThenable(result) ? Promise.resolve(result) : undefined
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  try {
    return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
  } catch {
    return false
  }
}
