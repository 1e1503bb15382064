import { replaceMethod } from '@afterspan/core/internal'

/** Tells of each call of a method, when it has returned: what it gives, be it a promise that rejects, is the app's alone. `boundary` is who was called, for `madeBy`. */
export function follow<Client>(
  prototype: object,
  name: string,
  tell: (client: Client, args: readonly unknown[], boundary: (...args: never[]) => unknown) => void,
): void {
  replaceMethod(prototype, name, (original) => {
    const followed = function (this: Client, ...args: unknown[]): unknown {
      const result = original.apply(this, args)
      try {
        tell(this, args, followed)
      } catch {
        // the app goes on, whatever becomes of the probe
      }
      return result
    }
    return followed
  })
}
