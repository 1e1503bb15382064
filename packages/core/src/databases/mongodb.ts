// MongoDB by its driver, through command() of a connection: all that is asked of a server goes through it, a batch of a cursor too.
import type { Attributes, Context } from '@opentelemetry/api'
import { replaceMethod } from '../instrument/replace-method.ts'
import { Durations, type ConnectionParameters } from './durations.ts'
import { followPromise } from './followed-promise.ts'
import { Question } from './question.ts'
import { asker, isNew, type Teller } from './teller.ts'

interface Connection {
  /** `127.0.0.1:27017`. */
  readonly address?: unknown
}
type Command = Readonly<Record<string, unknown>>

const SYSTEM = 'mongodb'
/** What the driver says of itself, to servers that it watches or has come to. */
const OWN = new Set(['hello', 'isMaster', 'ismaster', 'saslStart', 'saslContinue', 'authenticate', 'endSessions'])

const WRITES = new Set(['insert', 'update', 'delete', 'bulkWrite', 'findAndModify'])

/** `lib/cmap/connection.js`, as it is from 6.4 on. */
export function patchMongodb(
  { Connection }: { readonly Connection: { readonly prototype: object } },
  teller: Teller,
): void {
  if (!isNew(Connection.prototype)) return
  const durations = new Durations(teller.metrics, SYSTEM, (name) => name)
  const places = new Map<string, ConnectionParameters>()
  replaceMethod(
    Connection.prototype,
    'command',
    (original) =>
      function (this: Connection, ...args: unknown[]) {
        const [namespace, command] = args as [{ readonly db?: unknown } | undefined, Command | null | undefined]
        const caller = typeof command === 'object' && command !== null && isAppsOwn(command) ? asker() : undefined
        if (!caller) return original.apply(this, args)
        const to = placeOf(places, String(this.address), String(namespace?.db))
        const question = ask(teller, durations, to, command!, caller)
        try {
          return followPromise(original.apply(this, args), {
            settle: (error, answer) => {
              question.settle(error ?? (WRITES.has(nameOf(command!)) ? readFailure(answer) : undefined))
            },
          })
        } catch (error) {
          question.refuse(error)
          throw error
        }
      },
  )
}

/** A change stream, or a cursor that waits for more, asks for ever: that is no work of a request. */
function isAppsOwn(command: Command): boolean {
  const name = nameOf(command)
  return !OWN.has(name) && !(name === 'getMore' && command['maxTimeMS'] !== undefined)
}

function nameOf(command: Command): string {
  for (const name in command) return name
  return ''
}

const MOST_PLACES = 1_000

function placeOf(places: Map<string, ConnectionParameters>, address: string, database: string): ConnectionParameters {
  const key = `${address}/${database}`
  let place = places.get(key)
  if (place) return place
  const colon = address.lastIndexOf(':')
  const port = Number(address.slice(colon + 1))
  place =
    colon < 0 || Number.isNaN(port) ? { database, host: address } : { database, host: address.slice(0, colon), port }
  if (places.size < MOST_PLACES) places.set(key, place)
  return place
}

function ask({ startSpan }: Teller, durations: Durations, to: ConnectionParameters, command: Command, caller: Context) {
  const name = nameOf(command)
  const collection = name === 'getMore' ? command['collection'] : command[name]
  const operation = durations.of(to, name)
  const text = shapeOf(name, command)
  const attributes: Attributes = {
    'db.system.name': SYSTEM,
    'db.namespace': to.database as string,
    'db.operation.name': name,
    ...(typeof collection === 'string' ? { 'db.collection.name': collection } : {}),
    ...(text === undefined ? {} : { 'db.query.text': text }),
    'server.address': to.host as string,
    ...(to.port === undefined ? {} : { 'server.port': to.port as number }),
  }
  const spanName = typeof collection === 'string' ? `${name} ${collection}` : name
  return new Question(startSpan(spanName, attributes, caller), operation, 'MongoDB')
}

const MOST_FIELDS = 50

/** The fields that are asked for, and never what they are to be. Of several statements the first. */
function shapeOf(name: string, command: Command): string | undefined {
  const { deletes, documents, filter, pipeline, query, updates } = command
  if (name === 'aggregate' && Array.isArray(pipeline))
    return JSON.stringify(pipeline.slice(0, MOST_FIELDS).map(fieldsOf))
  const first = (list: unknown): Command | undefined => (Array.isArray(list) ? (list[0] as Command) : undefined)
  const asked = filter ?? query ?? first(documents) ?? (first(updates) ?? first(deletes))?.['q']
  return typeof asked === 'object' && asked !== null ? JSON.stringify(fieldsOf(asked)) : undefined
}

function fieldsOf(document: unknown): Record<string, string> {
  const names = typeof document === 'object' && document !== null ? Object.keys(document).slice(0, MOST_FIELDS) : []
  return Object.fromEntries(names.map((name) => [name, '?']))
}

interface Answer {
  readonly writeConcernError?: unknown
  readonly writeErrors?: unknown
  /** Of one that is read only where somebody looks, as it came. */
  has?(name: string): boolean
  toObject?(): Answer
}
const FAILURES = ['writeErrors', 'writeConcernError'] as const

function readFailure(answer: unknown): unknown {
  try {
    return failureIn(answer)
  } catch {
    return undefined // the app hears of it by its driver
  }
}

/** What a server could not write stands in an answer that is otherwise well. */
function failureIn(given: unknown): unknown {
  const answer = given as Answer | null | undefined
  if (typeof answer !== 'object' || answer === null) return undefined
  const isRaw = typeof answer.has === 'function' && typeof answer.toObject === 'function'
  if (isRaw && !FAILURES.some((name) => answer.has!(name))) return undefined
  const { writeErrors, writeConcernError } = isRaw ? answer.toObject!() : answer
  const failure: unknown = Array.isArray(writeErrors) && writeErrors.length > 0 ? writeErrors[0] : writeConcernError
  if (typeof failure !== 'object' || failure === null) return undefined
  const { code, errmsg } = failure as { readonly code?: unknown; readonly errmsg?: unknown }
  return Object.assign(new Error(String(errmsg as string)), { name: 'MongoWriteError', code })
}
