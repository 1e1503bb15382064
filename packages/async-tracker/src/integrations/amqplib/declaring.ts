// Learns what this process declares: its queues, exchanges and bindings.
import { isObject, type Fields } from '../sending/bag.ts'
import { isFleeting, noteFleeting } from './fleeting.ts'
import { onCall, type Patch } from './patch.ts'
import { hearReply } from './replies.ts'
import { MOST_QUEUES, type Queue } from './topology.ts'

export function patchDeclarers(patch: Patch): void {
  const { queues, exchanges, bindings } = patch.topology
  onCall(patch, 'assertQueue', (original, self, args) => {
    const [queue, options] = args
    const isKnown = typeof queue === 'string' && queue !== ''
    const result =
      isObject(options) && isFleeting(queue, options)
        ? hearReply(original, self, args, (reply) => {
            const name = isObject(reply) ? reply['queue'] : undefined
            if (typeof name === 'string') noteFleeting(patch.kit, self, name)
          })
        : original.apply(self, args)
    if (isKnown && queues.size < MOST_QUEUES) queues.set(queue, describe(options))
    return result
  })
  onCall(patch, 'assertExchange', (original, self, args) => {
    const [exchange, type] = args
    const result = original.apply(self, args)
    if (typeof exchange === 'string' && typeof type === 'string' && exchanges.size < MOST_QUEUES)
      exchanges.set(exchange, type)
    return result
  })
  onCall(patch, 'bindQueue', (original, self, args) => {
    const [queue, exchange] = args
    const result = original.apply(self, args)
    if (typeof queue === 'string' && typeof exchange === 'string') {
      const bound = bindings.get(exchange) ?? new Set()
      if (bound.size < MOST_QUEUES) bound.add(queue)
      if (bindings.size < MOST_QUEUES) bindings.set(exchange, bound)
    }
    return result
  })
}

function describe(options: unknown): Queue {
  const given = isObject(options) ? options : {}
  const args = isObject(given['arguments']) ? given['arguments'] : {}
  const exchange = given['deadLetterExchange'] ?? args['x-dead-letter-exchange']
  const routingKey = given['deadLetterRoutingKey'] ?? args['x-dead-letter-routing-key']
  const limit = args['x-delivery-limit']
  const messageTtlMs = given['messageTtl'] ?? args['x-message-ttl']
  return {
    ...(typeof exchange === 'string' ? { deadLetterExchange: exchange } : {}),
    ...(typeof routingKey === 'string' ? { deadLetterRoutingKey: routingKey } : {}),
    ...(typeof limit === 'number' ? { deliveryLimit: limit } : {}),
    ...(typeof messageTtlMs === 'number' ? { messageTtlMs } : {}),
    ...(args['x-queue-type'] === 'stream' ? { isStream: true } : {}),
  } satisfies Fields
}
