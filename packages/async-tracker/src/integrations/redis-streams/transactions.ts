// What is added in a transaction is there when it commits, and its id is known only then.
import { observeReply } from './reply.ts'
import type { Step } from './step.ts'

export interface Undone {
  readonly instead: 'unanswered' | 'rolled_back'
}
/** Told of what did not come to an id of its own. */
type Waiting = (ending: Undone) => void

export interface Transactions {
  /** It was queued: EXEC will say. */
  wait(unit: object, resolve: Waiting): void
  readonly steps: Readonly<Record<'exec' | 'discard', Step>>
}

export function createTransactions(): Transactions {
  const open = new WeakMap<object, Waiting[]>()
  const endOf = (unit: object, ending: Undone): void => {
    const waiting = open.get(unit) ?? []
    open.delete(unit)
    for (const resolve of waiting) resolve(ending)
  }
  return {
    wait(unit, resolve) {
      const waiting = open.get(unit)
      if (waiting) waiting.push(resolve)
      else open.set(unit, [resolve])
    },
    steps: {
      exec(client, command, send, unit) {
        const onReply = (reply: unknown): void => {
          if (reply === null) endOf(unit, { instead: 'rolled_back' })
          // Where it is no pipeline nobody tells which of the replies is whose.
          else if (unit === client) endOf(unit, { instead: 'unanswered' })
          else open.delete(unit)
        }
        observeReply(command, onReply, () => {
          endOf(unit, { instead: 'rolled_back' })
        })
        return send()
      },
      discard(_, command, send, unit) {
        observeReply(command, () => {
          endOf(unit, { instead: 'rolled_back' })
        })
        return send()
      },
    },
  }
}
