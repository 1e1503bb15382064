// What amqplib calls back comes from the connection's socket, in the context of whoever had opened that: what a callback does for its
// request (a channel is there, a queue is there, a message is confirmed: now the next one) was nobody's.
import { context } from '@opentelemetry/api'
import type { TaskKit } from '@afterspan/core/internal'
import type { Channel } from './shapes.ts'

type Callback = (...args: never[]) => unknown

/** It is called in the context of who gave it. */
export function bound<T>(callback: T): T {
  return typeof callback === 'function' ? (context.bind(context.active(), callback as Callback) as T) : callback
}

/** Of the face with callbacks: all but what confirms go through one method, which calls its last argument when the broker has answered. */
export function patchCallbacks(kit: TaskKit, channel: Channel, confirming: Channel): void {
  kit.wrap(
    confirming,
    'waitForConfirms',
    (original) =>
      function (this: Channel, callback, ...args) {
        return original.call(this, bound(callback), ...args)
      },
  )
  kit.wrap(
    channel,
    'sendOrEnqueue',
    (original) =>
      function (this: Channel, method, fields, reply) {
        return original.call(this, method, fields, bound(reply))
      },
  )
}
