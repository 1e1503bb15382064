import type { TaskDraft, TaskKit } from '@afterspan/core/internal'
import type { Bag } from '../sending/bag.ts'
import type { Boss, Method } from './boss.ts'
import type { Held, Holding } from './held.ts'
import type { Transactions } from './transaction.ts'
import { allInTurn, inTurn, isHeldBack } from './turns.ts'

/** What the steps of one patch share. */
export interface Patch extends Holding {
  readonly boss: Boss
  readonly kit: TaskKit
  readonly transactions: Transactions
  /** Of a job that was fetched the database is asked what became of it, when its time is over. */
  readonly watchExpiry: (attempt: Held) => void
  /** A job that cannot take a carrier along is found by its id. `settings` are those that it is sent with. */
  readonly draftOf: (queue: string, data: unknown, settings: unknown) => TaskDraft
  /** Lays the carrier into the data, where it can. */
  readonly put: (data: unknown, bag: Bag, queue: string) => unknown
}

/** Wraps one method; `this` comes as an argument. `asks`: the database is asked before the method is called. */
export function onCall(
  { kit, boss }: Patch,
  method: Exclude<keyof Boss, 'getDb'>,
  replace: (original: Method, self: Boss, args: unknown[]) => Promise<unknown>,
  asks = false,
): void {
  kit.wrap(
    boss,
    method,
    (original) =>
      function (this: Boss, ...args) {
        return inTurn({ boss: this, args, asks }, original, (called) => replace(called, this, args))
      },
  )
}

/** What the app asked before it stops pg-boss is asked before that. */
export function patchStop({ kit, boss }: Patch): void {
  kit.wrap(
    boss,
    'stop',
    (original) =>
      function (this: Boss, ...args) {
        const stop = (): Promise<unknown> => original.apply(this, args)
        return isHeldBack(this) ? allInTurn(this).then(stop) : stop()
      },
  )
}
