import { copyNature } from '../../instrument/replace-method.ts'

/** The template of a request, or how to find it once the response has ended; undefined then means that nothing was routed. */
export type Route = string | ((status: number | undefined) => string | undefined)

/** What the frameworks tell of the requests that they serve. `request` is Node's own object; one that nobody watches is ignored. */
export interface RequestTeller {
  /** What the app threw. The first one counts: what follows is mostly the same on its way up, or the trouble of the error handler. */
  recordError(request: unknown, error: unknown): void
  /** What the app threw while it wrote the body, of which the client now has a part: the status says nothing of that. */
  recordBroken(request: unknown, error: unknown): void
  setRoute(request: unknown, route: Route): void
}

type Method = (this: any, ...args: any[]) => unknown

/** The exports with another value under one name: the same object where it can be changed, else one that reads all else from it. */
export function withExport(exports: any, name: string, value: unknown): unknown {
  try {
    exports[name] = value
  } catch {
    // a getter of a bundler
  }
  if (exports[name] === value) return exports
  return Object.create(Object.getPrototypeOf(exports) as object | null, {
    ...Object.getOwnPropertyDescriptors(exports),
    [name]: { configurable: true, enumerable: true, writable: true, value },
  })
}

const followed = new WeakMap<object, Method>()

/** A function of the app that tells what it throws or rejects with, and else is what it was. One for each. */
export function follow(fn: Method, onError: (args: readonly any[], error: unknown) => void): Method {
  const known = followed.get(fn)
  if (known) return known
  const replacement = function (this: unknown, ...args: unknown[]): unknown {
    let result: unknown
    try {
      result = fn.apply(this, args)
    } catch (error) {
      onError(args, error)
      throw error
    }
    // Never a branch beside the framework's own: V8 tells no caller (`at async …`) of a promise that two wait for, and what nobody
    // else waits for would count as handled.
    if (!(result instanceof Promise)) return result
    return result.then(undefined, (error: unknown) => {
      onError(args, error)
      throw error
    })
  }
  copyNature(fn, replacement)
  followed.set(fn, replacement)
  followed.set(replacement, replacement)
  return replacement
}
