// One pool of postgres.js: who uses it, and how to ask it something without harm.

import { SQLSTATE } from '../codes.ts'
import { NO_NEWS, type RefusalNews } from '../refusals.ts'

/** The part of a query that is used. It is sent when somebody wants its result. */
interface Query extends Promise<readonly (readonly unknown[])[]> {
  readonly handler: object
  /** Of its text. */
  readonly strings?: readonly string[]
  /** It has been handed over once. */
  readonly executed?: boolean
  resolve?: (rows: readonly never[]) => void
  reject?: (error: unknown) => void
  /** Of the connection that it was sent on; null before. */
  readonly state: unknown
  values(): Query
}
interface Reserved {
  release(): unknown
}
/** The part of what postgres() returns that is used: a function for templates, with these on it. */
export interface PostgresJs {
  readonly options: { readonly host?: readonly string[]; readonly idle_timeout?: number | null; readonly max?: number }
  begin(...args: unknown[]): Promise<unknown>
  reserve?(): Promise<Reserved>
  end(...args: unknown[]): Promise<unknown>
  unsafe(text: string): Query
}
export type Answer =
  | { readonly kind: 'row'; readonly row: readonly unknown[] }
  | { readonly kind: 'error'; readonly error: unknown }

interface Asked {
  readonly query: Query
  readonly answer: Promise<Answer>
  readonly since: number
}

const SEEN = Symbol('afterspan.health')
/** What was sent and has had no answer for so long may have been sent into a dead connection: others may live. */
const ASK_AGAIN_MS = 5000
const MOST_UNANSWERED = 3
/** In what the library itself asks of a new connection, while the statement that has wanted it waits. */
const TYPES = 'pg_catalog.pg_type'
const STATE = 'show transaction_read_only;'
/** Of the probe. */
const own = new WeakSet<Query>()
/** Statements of the probe that have not been sent, in all pools. */
const unsent = new Set<Query>()
/** When the app last sent something, by the handler that all statements of one pool share. */
const lastUse = new WeakMap<object, { at: number }>()

export class PostgresJsWatch {
  readonly #unsafe: PostgresJs['unsafe']
  readonly #idleMs: number
  readonly #now: () => number
  readonly #use: { at: number }
  /** Since when, by transaction or reserved connection. */
  readonly #taken = new Set<{ readonly since: number }>()
  readonly max: number
  isEnded = false
  /** Without an answer so far, the oldest first. */
  readonly #asked: Asked[] = []

  constructor(sql: PostgresJs, now: () => number, news: RefusalNews = NO_NEWS) {
    this.#unsafe = sql.unsafe
    this.#now = now
    this.max = sql.options.max ?? 10
    this.#idleMs = (sql.options.idle_timeout ?? 0) * 1000
    this.#use = { at: Number.NEGATIVE_INFINITY }
    // Never sent, since nobody asks for its result.
    const sample = this.#unsafe('')
    lastUse.set(sample.handler, this.#use)
    watchUse(Object.getPrototypeOf(sample) as { handle: Handle & { [SEEN]?: true } }, now, news)
    this.#watchTransactions(sql)
    const { end } = sql
    replace(sql, 'end', (...args) => {
      this.isEnded = true
      return end.apply(sql, args)
    })
  }

  get taken(): number {
    return this.#taken.size
  }

  get oldestTakenMs(): number {
    for (const { since } of this.#taken) return this.#now() - since
    return 0
  }

  /** none: the app has sent nothing so far. idle: so long ago that its connections are, or soon will be, closed. */
  get use(): 'busy' | 'idle' | 'none' {
    const ago = this.#now() - this.#use.at
    if (ago === Number.POSITIVE_INFINITY) return 'none'
    return this.#idleMs > 0 && ago > this.#idleMs / 2 && this.#taken.size === 0 ? 'idle' : 'busy'
  }

  /**
   * Never rejects. What was asked lately and has no answer yet is not asked again. Nothing is ever cancelled: postgres.js opens a connection
   * with the statement that wanted it, and one that is cancelled by then leaves that connection in the making for ever.
   */
  ask(text: string): Promise<Answer> {
    const last = this.#asked.at(-1)
    if (last && !this.#mayAskAgain(last)) return last.answer
    const before = this.#use.at
    const query = this.#unsafe(text).values()
    own.add(query)
    const answer = query.then(
      (rows): Answer => ({ kind: 'row', row: rows[0] ?? [] }),
      (error: unknown): Answer => ({ kind: 'error', error }),
    )
    // It is no use by the app.
    this.#use.at = before
    const asked: Asked = { query, answer, since: this.#now() }
    this.#asked.push(asked)
    if (!query.state) unsent.add(query)
    void answer.then(() => {
      this.#asked.splice(this.#asked.indexOf(asked), 1)
      unsent.delete(query)
    })
    return answer
  }

  /** What was asked last has not been sent: it waits for a connection, or for one that is being made. */
  get isWaiting(): boolean {
    const last = this.#asked.at(-1)
    return last !== undefined && !last.query.state
  }

  /** For how long the oldest statement of the probe has been without an answer. */
  get unansweredMs(): number {
    const oldest = this.#asked[0]
    return oldest ? this.#now() - oldest.since : 0
  }

  #mayAskAgain({ query, since }: Asked): boolean {
    return query.state !== null && this.#now() - since >= ASK_AGAIN_MS && this.#asked.length < MOST_UNANSWERED
  }

  #watchTransactions(sql: PostgresJs): void {
    const { begin, reserve } = sql
    const take = (): (() => void) => {
      const one = { since: this.#now() }
      this.#taken.add(one)
      return () => void this.#taken.delete(one)
    }
    replace(sql, 'begin', (...args) => {
      const giveBack = take()
      return begin.apply(sql, args).finally(giveBack)
    })
    if (!reserve) return
    replace(sql, 'reserve', async () => {
      const giveBack = take()
      try {
        const reserved = await reserve.call(sql)
        const { release } = reserved
        reserved.release = () => {
          giveBack()
          return release()
        }
        return reserved
      } catch (error) {
        giveBack()
        throw error
      }
    })
  }
}

type Handle = (this: Query, ...args: unknown[]) => unknown

/** On the prototype of all statements, once for each copy of the library. */
function watchUse(prototype: { handle: Handle & { [SEEN]?: true } }, now: () => number, news: RefusalNews): void {
  const original = prototype.handle
  if (original[SEEN]) return
  const handle: Handle & { [SEEN]?: true } = function (...args) {
    const use = lastUse.get(this.handler)
    if (use) use.at = now()
    else quiet(this)
    if (!this.executed && !own.has(this)) hearRefusal(this, news)
    return original.apply(this, args)
  }
  handle[SEEN] = true
  prototype.handle = handle
}

/** What the server says to a statement of the app's, in a transaction too; what goes well is heard of while one is known to be refused. */
function hearRefusal(query: Query, news: RefusalNews): void {
  const { reject, resolve } = query
  if (!reject || !resolve) return
  const statement = (): string => query.strings?.join('?') ?? ''
  query.reject = (error) => {
    const code = (error as { code?: unknown } | null | undefined)?.code
    if (typeof code === 'string' && SQLSTATE.test(code)) news.refused(code, statement())
    return reject(error)
  }
  if (!news.isAwaited()) return
  query.resolve = (rows) => {
    news.wentWell(statement())
    return resolve(rows)
  }
}

/**
 * Of what the library asks on a connection of its own accord nobody catches the failure: it ends the process. Where it is the probe that has
 * wanted the connection, there is no such question without the probe: it then fails without a word, and what waited for it goes on.
 */
function quiet(query: Query): void {
  const text = query.strings?.[0] ?? ''
  const { resolve } = query
  const isOfTypes = text.includes(TYPES)
  if (!resolve || !(isOfTypes || text.includes(STATE))) return
  if (![...unsent].some(({ state }) => !state)) return
  if (isOfTypes) query.reject = () => resolve([])
  else void Promise.prototype.then.call(query, undefined, () => {})
}

function replace(
  sql: PostgresJs,
  name: 'begin' | 'end' | 'reserve',
  by: (...args: unknown[]) => Promise<unknown>,
): void {
  Object.defineProperty(by, 'name', { value: name })
  Object.defineProperty(sql, name, { value: by, writable: true, enumerable: true, configurable: true })
}
