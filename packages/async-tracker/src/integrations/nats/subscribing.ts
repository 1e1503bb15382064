// The older way of nats 2: js.subscribe() and js.pullSubscribe() give a subscription, with a callback or as a loop. Unless the app
// said otherwise the library acknowledges by itself, when the callback has returned or the loop's body is over.
import type { TaskKit } from '@afterspan/core/internal'
import { followed, followLoop, isFollowed, noteArrival } from './consuming.ts'
import { onCall, type Consumer, type Exports, type Handler, type Message, type SubscriptionPlan } from './shapes.ts'

export function patchSubscriptions({ JetStreamClientImpl, JetStreamSubscriptionImpl }: Exports, kit: TaskKit): void {
  if (!JetStreamClientImpl || !JetStreamSubscriptionImpl) return
  onCall(kit, JetStreamClientImpl, '_buildTypedSubscriptionOpts', (original, self, args) => {
    const [plan] = args as [SubscriptionPlan]
    const options = original.apply(self, args) as { callback?: (error: unknown, message: Message | null) => unknown }
    const { callback } = options
    if (typeof callback !== 'function') return options
    // Its configuration is complete only when it has been created.
    const consumer: Consumer = { _info: plan }
    options.callback = function (this: unknown, error, message) {
      if (error || !message || !isFollowed(consumer)) return callback.call(this, error, message)
      const handle: Handler = (it) => callback.call(this, null, it)
      return followed(kit, consumer, handle).call(this, message)
    }
    return options
  })
  onCall(kit, JetStreamSubscriptionImpl, 'push', (original, self, args) => {
    noteArrival({ _info: self.info }, args[0] as Message | (() => void))
    return original.apply(self, args)
  })
  onCall(kit, JetStreamSubscriptionImpl, Symbol.asyncIterator, (original, self) => {
    const consumer: Consumer = { _info: self.info }
    const iterator = original.call(self) as AsyncIterator<Message>
    return isFollowed(consumer) ? followLoop(kit, consumer, iterator) : iterator
  })
}
