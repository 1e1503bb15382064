// PostgreSQL by postgres.js. It shows nothing of its inside but the statements that it makes: each is a promise of a class of its own, and
// is sent by handle() when somebody wants its result.
import { context, createContextKey, trace, type Context } from '@opentelemetry/api'
import { replaceMethod } from '../instrument/replace-method.ts'
import { withValue } from '../sdk/request-context.ts'
import { Durations, namedBy, type ConnectionParameters } from './durations.ts'
import { attributesOf } from './pg-connection.ts'
import { PRODUCT } from './pg-question.ts'
import { Question } from './question.ts'
import { operationIn } from './sql-operation.ts'
import { asker, isNew, type Teller } from './teller.ts'

type Settle = (value: unknown) => unknown
interface Query {
  readonly executed?: boolean
  /** That all statements of a pool share, or of a transaction. */
  readonly handler?: { readonly name?: string }
  readonly strings?: readonly string[]
  resolve: Settle
  reject: Settle
}
interface Options {
  readonly database?: unknown
  readonly host?: unknown
  readonly port?: unknown
}
/** What postgres() returns. */
interface Sql {
  readonly options?: Options
  unsafe?(text: string): Query
  begin?(...args: unknown[]): unknown
}
type Postgres = (...args: unknown[]) => Sql

const SYSTEM = 'postgresql'
const stands = new WeakMap<object, object>()

/** The package itself, 3.3 or newer; gives what the app gets for it. */
export function patchPostgresJs(exports: any, teller: Teller): unknown {
  const postgres = (typeof exports === 'function' ? exports : exports?.default) as Postgres | undefined
  if (typeof postgres !== 'function') throw new TypeError('postgres exports no function')
  const known = stands.get(postgres)
  if (known) return known
  const places = new Places()
  const stand = new Proxy(postgres, {
    apply(target, self, args: unknown[]) {
      const sql = Reflect.apply(target, self, args) as Sql
      watch(sql, places, teller)
      return sql
    },
  })
  stands.set(postgres, stand)
  // The same export may come again, by the other module format.
  stands.set(stand, stand)
  return stand
}

/** Where the transaction goes that code runs in. */
const PLACE = createContextKey('afterspan.postgres-js.place')

/** Where statements go. Those of transactions tell of no pool, but run in a context; those of a reserved connection tell of it only where the app has one database. */
class Places {
  readonly #byHandler = new WeakMap<object, ConnectionParameters>()
  readonly #all = new Map<string, ConnectionParameters>()

  add(handler: object, { database, host, port }: Options): ConnectionParameters {
    const [firstHost, firstPort] = [host, port].map((each): unknown => (Array.isArray(each) ? each[0] : each))
    const key = JSON.stringify([database, firstHost, firstPort])
    const place = this.#all.get(key) ?? { database, host: firstHost, port: Number(firstPort) }
    if (this.#all.size < MOST_PLACES) this.#all.set(key, place)
    this.#byHandler.set(handler, place)
    return place
  }

  of(handler: object | undefined, caller: Context): ConnectionParameters {
    const own = handler && this.#byHandler.get(handler)
    const begun = caller.getValue(PLACE) as ConnectionParameters | undefined
    const [only, another] = this.#all.values()
    return own ?? begun ?? (only && !another ? only : NOWHERE)
  }
}
const NOWHERE: ConnectionParameters = {}
const MOST_PLACES = 1_000

function watch(sql: Sql, places: Places, teller: Teller): void {
  try {
    // Never sent, since nobody asks for its result.
    const sample = sql.unsafe?.('')
    if (!sample?.handler || !sql.options) return
    followTransactions(sql, places.add(sample.handler, sql.options))
    const prototype = Object.getPrototypeOf(sample) as object
    if (isNew(prototype)) watchQueries(prototype, places, teller)
  } catch {
    // the app has its pool
  }
}

function followTransactions(sql: Sql, place: ConnectionParameters): void {
  replaceMethod(
    sql,
    'begin',
    (original) =>
      function (this: Sql, ...args: unknown[]) {
        const active = context.active()
        if (!trace.getSpan(active)) return original.apply(this, args)
        return context.with(withValue(active, PLACE, place), () => original.apply(this, args))
      },
  )
}

function watchQueries(prototype: object, places: Places, teller: Teller): void {
  const durations = new Durations(teller.metrics, SYSTEM, namedBy('postgres.query'))
  replaceMethod(
    prototype,
    'handle',
    (original) =>
      function (this: Query, ...args: unknown[]) {
        // What a new connection asks of its own accord is handed to that alone.
        const caller = this.executed || this.handler?.name === 'execute' ? undefined : asker()
        if (caller) follow(this, ask(teller, durations, places.of(this.handler, caller), this, caller))
        return original.apply(this, args)
      },
  )
}

function ask(
  { startSpan }: Teller,
  durations: Durations,
  to: ConnectionParameters,
  { strings = [] }: Query,
  caller: Context,
): Question {
  // As the library numbers them, where none of them is a piece of a statement.
  const text = strings.reduce((whole, part, i) => (i === 0 ? part : `${whole}$${i}${part}`), '')
  const operation = durations.of(to, operationIn(text))
  const attributes = attributesOf(to)
  if (text !== '') attributes['db.query.text'] = text
  return new Question(startSpan(operation.spanName, attributes, caller), operation, PRODUCT)
}

/** Both are put in anew by the library where it has a cursor, and by whoever else follows the statement. */
function follow(query: Query, question: Question): void {
  for (const name of ['resolve', 'reject'] as const) {
    let latest = query[name]
    Object.defineProperty(query, name, {
      configurable: true,
      enumerable: true,
      get: () => {
        const settle = latest
        return (value: unknown) => {
          question.settle(name === 'reject' ? (value ?? new Error('rejected')) : undefined)
          return settle(value)
        }
      },
      set(other: Settle) {
        latest = other
      },
    })
  }
}
