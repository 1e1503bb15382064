// What the app answers to a message that it got.
import type { TaskKit } from '@afterspan/core/internal'
import { failureOf } from '../running/failure-of.ts'
import type { Delivery } from './deliveries.ts'
import { onCall, type Exports, type Message } from './shapes.ts'

export type DeliveryOf = (message: Message) => { readonly delivery: Delivery; acked(): void } | undefined

export function patchAnswers({ JsMsgImpl }: Exports, kit: TaskKit, deliveryOf: DeliveryOf): void {
  if (!JsMsgImpl) return
  // ack(), nak(), term() and working() come through here.
  onCall(kit, JsMsgImpl, 'doAck', (original, self, args) => {
    const wasAnswered = self.didAck
    const result = original.apply(self, args)
    if (!wasAnswered) apply(self, String(Buffer.from(args[0] as Uint8Array)), deliveryOf)
    return result
  })
  // The broker says that it has heard.
  onCall(kit, JsMsgImpl, 'ackAck', (original, self, args) =>
    (original.apply(self, args) as Promise<boolean>).then((isHeard) => {
      if (isHeard) deliveryOf(self)?.acked()
      return isHeard
    }),
  )
  // An acknowledgement that asks for more.
  onCall(kit, JsMsgImpl, 'next', (original, self, args) => {
    const result = original.apply(self, args)
    deliveryOf(self)?.acked()
    return result
  })
}

function apply(message: Message, answer: string, deliveryOf: DeliveryOf): void {
  const held = deliveryOf(message)
  if (!held) return
  const { delivery } = held
  if (answer.startsWith('+ACK')) held.acked()
  else if (answer.startsWith('+WPI')) delivery.extended()
  else if (answer.startsWith('-NAK')) delivery.givenBack(failureOf('NAK', 'nak'))
  else if (answer.startsWith('+TERM')) {
    const why = answer.slice('+TERM '.length)
    const error = failureOf('TERM', why ? `term: ${why}` : 'term')
    if (why && !understandsReasons(message)) delivery.givenBack(error)
    else delivery.terminated(error)
  }
}

/** A server before 2.10.4 does not know the answer with a reason for one, and delivers the message again. */
function understandsReasons({ msg }: Message): boolean {
  const version = /^(\d+)\.(\d+)\.(\d+)/.exec(msg?.publisher?.info?.version ?? '')
  if (!version) return true
  const [major = 0, minor = 0, patch = 0] = version.slice(1).map(Number)
  return major > 2 || (major === 2 && (minor > 10 || (minor === 10 && patch >= 4)))
}
