// Queues that the app purges or deletes: RabbitMQ says how many messages went, not which.
import { types } from 'node:util'
import { isObject } from '../sending/bag.ts'
import { onCall, type Patch } from './patch.ts'
import { nameOf, SYSTEM } from './shapes.ts'

type Callback = (error: unknown, reply: unknown) => unknown

export function patchEmptying(patch: Patch): void {
  for (const method of ['purgeQueue', 'deleteQueue'] as const)
    onCall(patch, method, (original, self, args) => {
      const [queue] = args
      // Of one whose name the broker made up the messages are not known by it.
      if (typeof queue !== 'string' || queue === '' || nameOf(queue) !== queue) return original.apply(self, args)
      const emptied = patch.kit.empty({ system: SYSTEM, destination: queue })
      const tell = (reply: unknown): void => {
        const count = isObject(reply) ? reply['messageCount'] : undefined
        // A queue that was not there is said to have held none.
        if (typeof count === 'number' && count > 0) emptied(count)
      }
      const callback = args.at(-1)
      if (typeof callback === 'function') {
        const told: Callback = (error, reply) => {
          if (!error) tell(reply)
          return (callback as Callback)(error, reply)
        }
        return original.apply(self, args.with(-1, told))
      }
      const result = original.apply(self, args)
      if (!types.isPromise(result)) return result
      return result.then((reply: unknown) => {
        tell(reply)
        return reply
      })
    })
}
