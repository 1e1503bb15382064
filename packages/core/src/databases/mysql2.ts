// MySQL and MariaDB by mysql2: query() and execute() of a connection, through which its pools and its promises go too. Statements are
// told as the app wrote them, with their placeholders: the values are put in later, or by the server.
import type { Context } from '@opentelemetry/api'
import { errorMonitor, type EventEmitter } from 'node:events'
import { replaceMethod } from '../instrument/replace-method.ts'
import { Durations, namedBy, type ConnectionParameters } from './durations.ts'
import { answering, Question, type Callback } from './question.ts'
import { operationIn } from './sql-operation.ts'
import { asker, isNew, type Teller } from './teller.ts'

interface Connection extends EventEmitter {
  readonly stream?: Pick<EventEmitter, 'once'>
  readonly config?: ConnectionParameters
}
/** What mysql2 makes of a question. A pool gives one to its connection. */
interface Command {
  onResult?: unknown
  readonly sql?: unknown
  once?(event: string | symbol, listener: (error?: unknown) => void): unknown
}

const SYSTEM = 'mysql'

/** `lib/base/connection.js`, before 3.11 `lib/connection.js`. */
export function patchMysql2(Connection: { readonly prototype: object }, teller: Teller): void {
  let owner: object | null = Connection.prototype
  while (owner && !Object.hasOwn(owner, 'query')) owner = Object.getPrototypeOf(owner) as object | null
  if (!owner) throw new TypeError('its connections have no query()')
  if (!isNew(owner)) return
  const durations = new Durations(teller.metrics, SYSTEM, namedBy('mysql2.query'))
  const unheard = new Unheard()
  for (const method of ['query', 'execute'])
    replaceMethod(
      owner,
      method,
      (original) =>
        function (this: Connection, ...args: unknown[]) {
          const caller = asker()
          if (!caller) return original.apply(this, args)
          const question = ask(teller, durations, this.config ?? {}, args[0], caller)
          try {
            const isHeard = followCallback(args, question, { caller, callIn: teller.callIn })
            const command = original.apply(this, args) as Command
            if (!isHeard) unheard.follow(this, command, question)
            return command
          } catch (error) {
            question.refuse(error)
            throw error
          }
        },
    )
}

function ask(
  { startSpan }: Teller,
  durations: Durations,
  to: ConnectionParameters,
  asked: unknown,
  caller: Context,
): Question {
  const text = typeof asked === 'string' ? asked : (asked as { readonly sql?: unknown } | null | undefined)?.sql
  const isKnown = typeof text === 'string'
  const operation = durations.of(to, isKnown ? operationIn(text) : '')
  const { database, host, port } = to
  const attributes = {
    'db.system.name': SYSTEM,
    ...(isKnown ? { 'db.operation.name': operation.name, 'db.query.text': text } : {}),
    ...(typeof database === 'string' && database !== '' ? { 'db.namespace': database } : {}),
    ...(typeof host === 'string' ? { 'server.address': host } : {}),
    ...(Number.isInteger(Number(port)) ? { 'server.port': Number(port) } : {}),
  }
  return new Question(startSpan(operation.spanName, attributes, caller), operation, 'MySQL')
}

/** Whatever of the app's is to be called with the answer hears of it after the span, in the context of who asked. False: there is nothing. */
function followCallback(
  args: unknown[],
  question: Question,
  asking: { readonly caller: Context; readonly callIn: Teller['callIn'] },
): boolean {
  const answered = answering(question, asking)
  const at = args.findIndex((arg, i) => i > 0 && typeof arg === 'function')
  if (at > 0) {
    args[at] = answered(args[at] as Callback)
    return true
  }
  const command = args[0] as Command | null | undefined
  if (typeof command !== 'object' || command === null || typeof command.onResult !== 'function') return false
  command.onResult = answered(command.onResult as Callback)
  return true
}

/** Questions without a callback: told by the events of their commands, and by those of the connection when it is lost. */
class Unheard {
  readonly #open = new WeakMap<Connection, Set<Question>>()

  follow(connection: Connection, command: Command, question: Question): void {
    const open = this.#of(connection)
    open.add(question)
    const settle = (error?: unknown): void => {
      open.delete(question)
      question.settle(error)
    }
    // Not as a listener of 'error', which would be one that the app does not have.
    command.once?.(errorMonitor, settle)
    command.once?.('end', () => settle())
  }

  #of(connection: Connection): Set<Question> {
    let open = this.#open.get(connection)
    if (open) return open
    this.#open.set(connection, (open = new Set()))
    const questions = open
    const settleAll = (error: unknown): void => {
      for (const question of questions) question.settle(error)
      questions.clear()
    }
    connection.on(errorMonitor, settleAll)
    // Behind mysql2's own, which says why; nothing is said where the app has closed it.
    connection.stream?.once('close', () => settleAll(new Error('the connection was closed')))
    return open
  }
}
