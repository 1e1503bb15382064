// What is added in a transaction is there when it commits, and its id is known only then.
import type { Begun } from './begun.ts'
import { observeReply } from './reply.ts'
import type { Client } from './shapes.ts'
import type { Step } from './step.ts'

export interface Undone {
  readonly instead: 'unanswered' | 'rolled_back'
}
/** Told of what did not come to an id of its own. */
type Waiting = (ending: Undone) => void

export interface Transactions {
  /** It was queued: EXEC will say. */
  wait(unit: object, resolve: Waiting): void
  readonly steps: Readonly<Record<'multi' | 'exec' | 'discard', Step>>
}

export function createTransactions(begun: Begun): Transactions {
  const queued = new WeakMap<object, Waiting[]>()
  const endOf = (unit: object, ending: Undone): void => {
    const waiting = queued.get(unit) ?? []
    queued.delete(unit)
    for (const resolve of waiting) resolve(ending)
  }
  const sendLast = (client: Client, unit: object, send: () => unknown): unknown => {
    const sent = send()
    if (unit === client) begun.end(client)
    return sent
  }
  return {
    wait(unit, resolve) {
      const waiting = queued.get(unit)
      if (waiting) waiting.push(resolve)
      else queued.set(unit, [resolve])
    },
    steps: {
      multi(client, command, send, unit) {
        if (unit !== client) return send()
        begun.begin(client)
        const onError = (): void => {
          begun.end(client)
        }
        observeReply(command, () => {}, onError)
        return send()
      },
      exec(client, command, send, unit) {
        const onReply = (reply: unknown): void => {
          if (reply === null) endOf(unit, { instead: 'rolled_back' })
          // Where it is no pipeline nobody tells which of the replies is whose.
          else if (unit === client) endOf(unit, { instead: 'unanswered' })
          else queued.delete(unit)
        }
        observeReply(command, onReply, () => {
          endOf(unit, { instead: 'rolled_back' })
        })
        return sendLast(client, unit, send)
      },
      discard(client, command, send, unit) {
        observeReply(command, () => {
          endOf(unit, { instead: 'rolled_back' })
        })
        return sendLast(client, unit, send)
      },
    },
  }
}
