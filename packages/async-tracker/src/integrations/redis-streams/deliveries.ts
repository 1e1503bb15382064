// What consumers of this process hold: one attempt for each group and entry, until it is acknowledged or delivered again.
import type { TaskKit } from '@afterspan/core/internal'
import { begin, hold, type Held } from '../running/held.ts'
import { failureOf } from '../running/failure-of.ts'
import { createBag } from '../sending/bag.ts'
import { SYSTEM } from './shapes.ts'
import { destinationOf, messageId, type Delivered } from './words.ts'

/** Entries that nobody acknowledges would be held for ever: the oldest go first, and their attempts end with the process. */
const MOST_HELD = 10_000

export interface Deliveries {
  deliver(group: string, entry: Delivered, isTakeover: boolean): Held
  acknowledge(group: string, entry: Delivered): void
}

export function createDeliveries(kit: TaskKit): Deliveries {
  const held = new Map<string, Held>()
  return {
    deliver(group, entry, isTakeover) {
      const key = keyOf(group, entry)
      const before = held.get(key)
      before?.fail(failureOf('NOT_ACKNOWLEDGED', 'delivered again without having been acknowledged'))
      const attempt = hold(infoOf(group, entry, isTakeover))
      if (held.size >= MOST_HELD) held.delete(held.keys().next().value!)
      held.set(key, attempt)
      const start = (): void => {
        begin(kit, attempt, createBag())
      }
      // First the one is told to be over, then the other begins; the app has the reply after both.
      if (before) before.ended.then(start, start)
      else start()
      return attempt
    },
    acknowledge(group, entry) {
      const key = keyOf(group, entry)
      held.get(key)?.succeed()
      held.delete(key)
    },
  }
}

function infoOf(group: string, entry: Delivered, isTakeover: boolean): Held['info'] {
  const { deliveries } = entry
  return {
    system: SYSTEM,
    destination: destinationOf(entry.stream),
    name: entry.stream,
    attempt: deliveries === undefined ? (isTakeover ? 0 : 1) : deliveries + 1,
    messageId: messageId(entry),
    consumerGroup: group,
    isTakeover: isTakeover || (deliveries ?? 0) > 0,
    outcomeOf: () => 'retrying',
  }
}

function keyOf(group: string, entry: Delivered): string {
  return `${group}\0${messageId(entry)}`
}
