// What a channel says of itself: messages that came back, its end, and why.
import { isObject, taskOf } from '../sending/bag.ts'
import { forgetConfirmations } from './confirmations.ts'
import { closeDeliveries } from './deliveries.ts'
import { closeConnection, closeOutgoing, noteClosing, refuse } from './flushing.ts'
import { bagOf } from './headers.ts'
import { onCall, type Channel, type Message, type Model, type Patch } from './shapes.ts'

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
        if (event === 'return') returned(args[0])
        else if (event === 'error') failed(this, args[0])
        else if (event === 'close') closed(this)
        return original.call(this, event, ...args)
      },
  )
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
