// Queues that the app purges or deletes: RabbitMQ says how many messages went, not which.
import { isObject } from '../sending/bag.ts'
import { onCall, type Patch } from './patch.ts'
import { hearReply } from './replies.ts'
import { nameOf, SYSTEM } from './shapes.ts'

export function patchEmptying(patch: Patch): void {
  for (const method of ['purgeQueue', 'deleteQueue'] as const)
    onCall(patch, method, (original, self, args) => {
      const [queue] = args
      // Of one whose name the broker made up the messages are not known by it.
      if (typeof queue !== 'string' || queue === '' || nameOf(queue) !== queue) return original.apply(self, args)
      const emptied = patch.kit.empty({ system: SYSTEM, destination: queue })
      return hearReply(original, self, args, (reply) => {
        const count = isObject(reply) ? reply['messageCount'] : undefined
        // A queue that was not there is said to have held none.
        if (typeof count === 'number' && count > 0) emptied(count)
      })
    })
}
