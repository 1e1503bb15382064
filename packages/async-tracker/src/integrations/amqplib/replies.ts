// What the broker answers to a call of either face: by the callback, which comes last, or by a promise.
import { types } from 'node:util'
import type { Channel, Method } from './shapes.ts'

type Callback = (error: unknown, reply: unknown) => unknown

/** Makes the call; `hear` hears of an answer before the app does. */
export function hearReply(original: Method, self: Channel, args: unknown[], hear: (reply: unknown) => void): unknown {
  const callback = args.at(-1)
  if (typeof callback === 'function') {
    const told: Callback = (error, reply) => {
      if (!error) hear(reply)
      return (callback as Callback)(error, reply)
    }
    return original.apply(self, args.with(-1, told))
  }
  const result = original.apply(self, args)
  if (!types.isPromise(result)) return result
  return result.then((reply: unknown) => {
    hear(reply)
    return reply
  })
}
