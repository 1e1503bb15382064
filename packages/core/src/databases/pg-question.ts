import type { Context, Span } from '@opentelemetry/api'
import { attributesOf, type ConnectionParameters } from './pg-connection.ts'
import { spanNameOf, type Durations, type Operation } from './pg-durations.ts'
import { setFailed, type Teller } from './teller.ts'

/** What pg is asked, in the forms in which it says what it is: a text, a config, or an object that submits itself. */
interface Asked {
  readonly text?: unknown
  readonly name?: unknown
  /** Of a stream of rows. */
  readonly cursor?: Asked
}

/** One question, from when it is asked to its answer. */
export class Question {
  readonly #span: Span
  readonly #operation: Operation
  readonly #startedAt = performance.now()
  #isSettled = false

  constructor(
    startSpan: Teller['startSpan'],
    durations: Durations,
    to: ConnectionParameters,
    asked: unknown,
    caller: Context,
  ) {
    const { cursor, name, text = cursor?.text }: Asked = typeof asked === 'string' ? { text: asked } : (asked ?? {})
    const isKnown = typeof text === 'string'
    this.#operation = durations.of(to, isKnown ? operationIn(text) : '')
    const attributes = attributesOf(to)
    if (isKnown) {
      if (text !== '') attributes['db.query.text'] = text
      if (typeof name === 'string') attributes['db.postgresql.plan'] = name
    }
    const spanName = !isKnown
      ? 'pg.query'
      : typeof name === 'string' && name !== ''
        ? spanNameOf(name, to.database)
        : this.#operation.spanName
    this.#span = startSpan(spanName, attributes, caller)
  }

  /** It was answered; harmless when it is told again. `error`: how it failed. */
  settle(error?: unknown): void {
    if (this.#isSettled) return
    this.#isSettled = true
    const seconds = (performance.now() - this.#startedAt) / 1000
    if (error) {
      this.#operation.recordFailed(seconds, typeOf(error))
      recordPgError(this.#span, error)
    } else this.#operation.record(seconds)
    this.#span.end()
  }

  /** It could not even be asked: nothing is measured. */
  refuse(error: unknown): void {
    if (this.#isSettled) return
    this.#isSettled = true
    recordPgError(this.#span, error)
    this.#span.end()
  }
}

/** Of a connection, as spans have them. */

/** What the server said may hold values of the app: the exception has the error's class and code alone. */
export function recordPgError(span: Span, error: unknown): void {
  try {
    if (error instanceof Error) {
      const { name, code } = error as Error & { readonly code?: unknown }
      const said = `PostgreSQL error of type '${name}' occurred (code: ${(code as string | undefined) ?? 'UNKNOWN'})`
      span.recordException(said)
    }
  } catch {
    // an error that cannot be read
  }
  setFailed(span, error)
}

const LONGEST_OPERATION = 64

/** The first word. */
function operationIn(text: string): string {
  let start = 0
  while (start < text.length && isSpace(text.charCodeAt(start))) start++
  const most = Math.min(text.length, start + LONGEST_OPERATION)
  let end = start
  while (end < most && !isSpace(text.charCodeAt(end))) end++
  const word = text.slice(start, end).toUpperCase()
  return word.endsWith(';') ? word.slice(0, -1) : word
}

function isSpace(code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13)
}

/** The code of PostgreSQL or of the system; else the error's class. */
function typeOf(error: unknown): string {
  try {
    const { code, name } = error as { readonly code?: unknown; readonly name?: unknown }
    return String((code ?? name ?? 'Error') as string)
  } catch {
    return 'Error'
  }
}
