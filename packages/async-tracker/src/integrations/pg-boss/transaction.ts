// Jobs that are sent inside of a transaction of the app: they are there when it commits, and never were when it is rolled back. The
// transaction says its number, and the database, asked from outside, what became of it.
import { withoutTracing, type TaskId, type TaskKit } from '@afterspan/core/internal'
import { taskOf, type Bag } from '../sending/bag.ts'
import type { Boss, Db } from './boss.ts'

/** Since PostgreSQL 10. A number is only told where one was given already: asking gives none. */
const NUMBER = 'SELECT txid_current_if_assigned()::text AS number'
const STATUS = 'SELECT txid_status($1::bigint) AS status'
const FIRST_LOOK_MS = 250
const LONGEST_PAUSE_MS = 30_000
const GIVE_UP_MS = 3_600_000
const MOST_OPEN = 1_000

export interface Transactions {
  /** After a job was sent by `db`, before the app goes on. Never rejects. */
  follow(db: Db, boss: Boss, bags: readonly Bag[]): Promise<void>
}

export function createTransactions(kit: TaskKit): Transactions {
  const canTell = new WeakMap<Db, Promise<boolean>>()
  let open = 0

  /** Tried outside first: a statement that fails inside would end the app's transaction. */
  const tells = (own: Db): Promise<boolean> => {
    const known = canTell.get(own)
    if (known) return known
    const asked = Promise.resolve(
      withoutTracing(() => own.executeSql('SELECT txid_current_if_assigned(), txid_status(txid_current())', [])),
    ).then(
      () => true,
      () => false,
    )
    canTell.set(own, asked)
    return asked
  }
  const watch = (own: Db, number: string, taskIds: readonly TaskId[]): void => {
    open++
    let paused = 0
    const look = async (pause: number): Promise<void> => {
      const status = await withoutTracing(() => own.executeSql(STATUS, [number])).then(
        ({ rows }) => rows[0]?.['status'],
        () => 'in progress', // the database is away: it will know later
      )
      if (status === 'aborted') for (const taskId of taskIds) kit.settle(taskId, 'cancelled', 'rolled_back', 'broker')
      if (status === 'in progress' && paused < GIVE_UP_MS) later(Math.min(pause * 2, LONGEST_PAUSE_MS))
      else open--
    }
    const later = (pause: number): void => {
      paused += pause
      withoutTracing(() => setTimeout(() => void look(pause), pause).unref())
    }
    later(FIRST_LOOK_MS)
  }
  return {
    async follow(db, boss, bags) {
      const taskIds = bags.map(taskOf).filter((id) => id !== undefined)
      if (taskIds.length === 0 || open >= MOST_OPEN) return
      try {
        const own = boss.getDb()
        if (own === db || !(await tells(own))) return
        const { rows } = await withoutTracing(() => db.executeSql(NUMBER, []))
        const number = rows[0]?.['number']
        if (typeof number === 'string') watch(own, number, taskIds)
      } catch {
        // the app's own client is closed, or is no PostgreSQL: the job stays what it is taken for, sent
      }
    },
  }
}
