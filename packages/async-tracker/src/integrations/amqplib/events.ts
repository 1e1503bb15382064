// What a channel says of itself: messages that came back, its end, and why.
import { isObject, taskOf } from '../sending/bag.ts'
import { forgetConfirmations } from './confirmations.ts'
import { closeDeliveries } from './deliveries.ts'
import { closeOutgoing, refusedBy } from './flushing.ts'
import { bagOf } from './headers.ts'
import type { Channel, Message, Patch } from './shapes.ts'

const BASIC = 60
const PUBLISH = 40

export function patchEvents({ kit, channel }: Patch): void {
  const returned = (message: unknown): void => {
    if (!isObject(message) || !isObject(message['fields'])) return
    const taskId = taskOf(bagOf(message as unknown as Message))
    const { replyCode, replyText, exchange, routingKey } = message['fields']
    const text = `${String(replyText)}: exchange '${String(exchange)}', routing key '${String(routingKey)}'`
    if (taskId) kit.settle(taskId, 'failed', 'unroutable', 'broker', { type: String(replyCode), message: text })
  }
  const failed = (self: Channel, error: unknown): void => {
    if (!isObject(error) || error['classId'] !== BASIC || error['methodId'] !== PUBLISH) return
    closeOutgoing(self)
    for (const taskId of refusedBy(self, String(error['message'])))
      kit.settle(taskId, 'lost', 'never_enqueued', 'broker')
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
        if (event === 'return') returned(args[0])
        else if (event === 'error') failed(this, args[0])
        else if (event === 'close') closed(this)
        return original.call(this, event, ...args)
      },
  )
}
