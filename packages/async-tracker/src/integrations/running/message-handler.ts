// A handler that a broker's client calls with each message, and that the app answers for by a call of its own (ack, nak ...): the
// attempt is over when both are. What the two halves come to is a delivery's business, which differs by broker.
import { types } from 'node:util'
import type { AttemptInfo, Carrier, TaskId, TaskKit } from '@afterspan/core/internal'
import { notingCaught, type Caught } from './caught.ts'
import { wordsOf } from './failure-of.ts'

/** Filled in as the library tells. */
export type Info = { -readonly [K in keyof AttemptInfo]: AttemptInfo[K] }

export interface HandledDelivery {
  /** For kit.attempt to wait for. */
  readonly ended: Promise<void>
  /** In the context of the attempt. */
  begun?(): void
  handlerReturned(): void
  handlerFailed(error: unknown): void
}
export interface Received<D extends HandledDelivery = HandledDelivery> {
  readonly delivery: D
  readonly info: Info
  readonly carrier: Carrier
}

/** Calls the handler as the library would have: with what it returns and throws. */
export function runHandler(kit: TaskKit, { delivery, info, carrier }: Received, run: () => unknown): unknown {
  let result: unknown
  let thrown: { readonly error: unknown } | undefined
  const caught: Caught = {}
  const handle = (): Promise<void> => {
    delivery.begun?.()
    try {
      result = notingCaught(caught, run)
    } catch (error) {
      thrown = { error }
      delivery.handlerFailed(error)
      throw error
    }
    return delivery.ended
  }
  try {
    kit.attempt(info, carrier, handle).catch(() => {})
  } catch {
    // the handler's own, thrown again below
  }
  if (thrown) throw thrown.error
  return follow(delivery, info, result, caught)
}

/** Nobody looks at what a handler returns: a rejection has to stay one that nobody handled. */
function follow(delivery: HandledDelivery, info: Info, result: unknown, caught: Caught): unknown {
  if (!types.isPromise(result)) {
    delivery.handlerReturned()
    return result
  }
  return result.then(
    (value: unknown) => {
      if (caught.failure) delivery.handlerFailed(caught.failure.error)
      else delivery.handlerReturned()
      return value
    },
    (error: unknown) => {
      info.isResultIgnored = true
      delivery.handlerFailed(error)
      throw error
    },
  )
}

/** The app told the broker that the message is done, which its handler had failed to do: nobody will run it again. */
export function tellDropped(kit: TaskKit, taskId: TaskId, reader: string, error: unknown): void {
  kit.settle(taskId, 'failed', 'threw', 'own_report', { ...wordsOf(error), reader })
}
