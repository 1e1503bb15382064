// What a channel says of itself: messages that came back, its end, and why.
import { isObject, taskOf } from '../sending/bag.ts'
import { forgetConfirmations } from './confirmations.ts'
import { closeDeliveries } from './deliveries.ts'
import { closeConnection, closeOutgoing, noteClosing, refuse } from './flushing.ts'
import { bagOf } from './headers.ts'
import { onCall, type Patch } from './patch.ts'
import { isWork, unmark } from './returns.ts'
import type { Channel, Model, ReturnedMessage } from './shapes.ts'

const BASIC = 60
const PUBLISH = 40

export function patchEvents({ kit, channel, topology }: Patch): void {
  /** Whether the app is to hear of it. */
  const returned = (message: unknown): boolean => {
    if (!isReturned(message)) return true
    const taskId = taskOf(bagOf(message))
    const isWanted = unmark(message) || !taskId
    const { replyCode, replyText, exchange, routingKey } = message.fields
    const text = `${replyText}: exchange '${exchange}', routing key '${routingKey}'`
    if (!taskId) return isWanted
    if (isWanted || isWork(topology, exchange))
      kit.settle(taskId, 'failed', 'unroutable', 'broker', { type: String(replyCode), message: text })
    else kit.settle(taskId, 'cancelled', 'no_reader', 'broker')
    return isWanted
  }
  const failed = (self: Channel, error: unknown): void => {
    noteClosing(self, 'broker')
    if (!isObject(error) || error['classId'] !== BASIC || error['methodId'] !== PUBLISH) return
    for (const taskId of refuse(self, String(error['message']))) kit.settle(taskId, 'lost', 'never_enqueued', 'broker')
  }
  const closed = (self: Channel): void => {
    closeOutgoing(self)
    forgetConfirmations(self)
    closeDeliveries(self)
  }
  kit.wrap(
    channel,
    'emit',
    (original) =>
      function (this: Channel, event, ...args) {
        if (event === 'return' && !returned(args[0])) return false
        if (event === 'error') failed(this, args[0])
        else if (event === 'close') closed(this)
        return original.call(this, event, ...args)
      },
  )
}

function isReturned(message: unknown): message is ReturnedMessage {
  return isObject(message) && isObject(message['fields']) && isObject(message['properties'])
}

/** Both are called before they do anything: what has left by then has left. */
export function patchClose(patch: Patch, model: Model): void {
  onCall(patch, 'close', (original, self, args) => {
    noteClosing(self, 'app')
    return original.apply(self, args)
  })
  patch.kit.wrap(
    model,
    'close',
    (original) =>
      function (this: Model, ...args) {
        closeConnection(this.connection)
        return original.apply(this, args)
      },
  )
}
