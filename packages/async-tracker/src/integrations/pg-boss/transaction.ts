// Jobs that are sent inside of a transaction of the app: they are there when it commits, and never were when it is rolled back. The
// transaction says its number, and the database, asked from outside, what became of it. Where it was committed, and the jobs are not there,
// they were sent after a savepoint that it went back to.
import { withoutTracing, type TaskId, type TaskKit } from '@afterspan/core/internal'
import { taskOf, type Bag } from '../sending/bag.ts'
import type { Boss, Db, Find } from './boss.ts'

/** Since PostgreSQL 10. A number is only told where one was given already: asking gives none. */
const NUMBER = 'SELECT txid_current_if_assigned()::text AS number'
const STATUS = 'SELECT txid_status($1::bigint) AS status'
const FIRST_LOOK_MS = 250
const LONGEST_PAUSE_MS = 30_000
const GIVE_UP_MS = 3_600_000
const MOST_OPEN = 1_000

export interface Transactions {
  /** After jobs were sent by `db`, by one call, before the app goes on. Never rejects. */
  follow(db: Db, boss: Boss, jobs: readonly SentJob[]): Promise<void>
}
export interface SentJob {
  readonly bag: Bag
  readonly queue: string
  /** Nothing where pg-boss took none. */
  readonly id: unknown
}

export function createTransactions(kit: TaskKit, find: Find): Transactions {
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
  /** One call is within one savepoint: one of its jobs stands for all. */
  const isUndone = async (boss: Boss, jobs: readonly SentJob[]): Promise<boolean> => {
    const sent = jobs.find(({ id }) => typeof id === 'string')
    return sent !== undefined && (await find(boss, sent.queue, sent.id as string)) === null
  }
  const watch = (boss: Boss, number: string, jobs: readonly SentJob[]): void => {
    const own = boss.getDb()
    const taskIds = jobs.map(({ bag }) => taskOf(bag)).filter((id): id is TaskId => id !== undefined)
    open++
    let paused = 0
    const look = async (pause: number): Promise<void> => {
      const status = await withoutTracing(() => own.executeSql(STATUS, [number])).then(
        ({ rows }) => rows[0]?.['status'],
        () => 'in progress', // the database is away: it will know later
      )
      const isAborted =
        status === 'aborted' || (status === 'committed' && (await isUndone(boss, jobs).catch(() => false)))
      if (isAborted) for (const taskId of taskIds) kit.settle(taskId, 'cancelled', 'rolled_back', 'broker')
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
    async follow(db, boss, jobs) {
      if (open >= MOST_OPEN || !jobs.some(({ bag }) => taskOf(bag) !== undefined)) return
      try {
        const own = boss.getDb()
        if (own === db || !(await tells(own))) return
        const { rows } = await withoutTracing(() => db.executeSql(NUMBER, []))
        const number = rows[0]?.['number']
        if (typeof number === 'string') watch(boss, number, jobs)
      } catch {
        // the app's own client is closed, or is no PostgreSQL: the job stays what it is taken for, sent
      }
    },
  }
}
