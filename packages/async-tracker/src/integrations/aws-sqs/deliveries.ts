// A message that was received is an attempt, until it is deleted, or until its time is up and others may receive it.
import { LONGEST_TIMER_MS, type AttemptInfo, type TaskKit } from '@afterspan/core/internal'
import { begin, hold, type Held } from '../running/held.ts'
import { failureOf } from '../running/failure-of.ts'
import type { Bag } from '../sending/bag.ts'

/** Messages that nobody deletes would be held for ever: the oldest go first. */
const MOST_HELD = 10_000

export interface Received {
  readonly handle: string
  readonly info: AttemptInfo
  readonly bag: Bag
  /** Undefined: not known, and then only the next time that it is received tells. */
  readonly visibilityMs: number | undefined
}
interface Delivery extends Received {
  readonly held: Held
  timer: NodeJS.Timeout | undefined
  isExpired: boolean
}

export class Deliveries {
  readonly #kit: TaskKit
  readonly #byHandle = new Map<string, Delivery>()
  /** The newest of each message that is open here. */
  readonly #byMessage = new Map<string, Delivery>()

  constructor(kit: TaskKit) {
    this.#kit = kit
  }

  receive(received: Received): void {
    const key = keyOf(received.info)
    const before = this.#byMessage.get(key)
    if (before) this.#expire(before)
    if (this.#byHandle.size >= MOST_HELD) this.#forget(this.#byHandle.values().next().value!)
    const delivery: Delivery = { ...received, held: hold(received.info), timer: undefined, isExpired: false }
    this.#byHandle.set(received.handle, delivery)
    this.#byMessage.set(key, delivery)
    this.extend(received.handle, received.visibilityMs)
    const start = (): void => {
      begin(this.#kit, delivery.held, received.bag)
    }
    // First the one is told to be over, then the other begins; the app has the message after both.
    if (before) before.held.ended.then(start, start)
    else start()
  }

  /** Deleted. After its time it counts too: the message did run, and nobody else will have it. */
  delete(handle: string): void {
    const delivery = this.#byHandle.get(handle)
    if (!delivery) return
    this.#forget(delivery)
    const { isExpired, held, info, bag } = delivery
    if (isExpired) this.#kit.attempt({ ...info, isTakeover: true }, bag, () => {})
    else held.succeed()
  }

  /** Others may receive it as soon as SQS has heard, which is before we hear of that: this run is over by then. */
  giveBack(handle: string): void {
    const delivery = this.#byHandle.get(handle)
    if (delivery) this.#end(delivery, failureOf('VISIBLE_AGAIN', 'its visibility timeout was set to 0'))
  }

  /** SQS has heard. Until then the app may still delete it. */
  gaveBack(handle: string): void {
    const delivery = this.#byHandle.get(handle)
    if (delivery) this.#forget(delivery)
  }

  extend(handle: string, visibilityMs: number | undefined): void {
    const delivery = this.#byHandle.get(handle)
    if (!delivery || visibilityMs === undefined || visibilityMs > LONGEST_TIMER_MS) return
    clearTimeout(delivery.timer)
    // Counted from when the client has it, a little later than SQS does: so it ends a little early.
    const ms = visibilityMs - Math.min(50, visibilityMs / 10)
    delivery.timer = setTimeout(() => {
      this.#expire(delivery)
    }, ms).unref()
  }

  #expire(delivery: Delivery): void {
    this.#end(delivery, failureOf('NOT_DELETED', 'not deleted within its visibility timeout'))
  }

  #end(delivery: Delivery, why: Error): void {
    clearTimeout(delivery.timer)
    delivery.isExpired = true
    const key = keyOf(delivery.info)
    if (this.#byMessage.get(key) === delivery) this.#byMessage.delete(key)
    delivery.held.fail(why)
  }

  #forget(delivery: Delivery): void {
    clearTimeout(delivery.timer)
    this.#byHandle.delete(delivery.handle)
    const key = keyOf(delivery.info)
    if (this.#byMessage.get(key) === delivery) this.#byMessage.delete(key)
  }
}

function keyOf({ destination, messageId }: AttemptInfo): string {
  return `${destination}\0${messageId}`
}
