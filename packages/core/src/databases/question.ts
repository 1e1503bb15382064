import type { Context, Span } from '@opentelemetry/api'
import type { Operation } from './durations.ts'
import { setFailed, type Teller } from './teller.ts'

/** One question to a database, from when it is asked to its answer. */
export class Question {
  readonly #span: Span
  readonly #operation: Operation
  readonly #product: string
  readonly #startedAt = performance.now()
  #isSettled = false

  /** `product`: as its errors are said to be. */
  constructor(span: Span, operation: Operation, product: string) {
    this.#span = span
    this.#operation = operation
    this.#product = product
  }

  /** It was answered; harmless when it is told again. `error`: how it failed. */
  settle(error?: unknown): void {
    if (this.#isSettled) return
    this.#isSettled = true
    const seconds = (performance.now() - this.#startedAt) / 1000
    if (error) {
      this.#operation.recordFailed(seconds, typeOf(error))
      recordServerError(this.#span, error, this.#product)
    } else this.#operation.record(seconds)
    this.#span.end()
  }

  /** It could not even be asked: nothing is measured. */
  refuse(error: unknown): void {
    if (this.#isSettled) return
    this.#isSettled = true
    recordServerError(this.#span, error, this.#product)
    this.#span.end()
  }
}

export type Callback = (...args: never[]) => unknown

/** For a callback of the app's: it is called after the span has ended, in the context of who asked. */
export function answering(
  question: Question,
  { caller, callIn }: { readonly caller: Context; readonly callIn: Teller['callIn'] },
): (callback: Callback) => Callback {
  return (callback) =>
    function (this: unknown, ...given: unknown[]) {
      question.settle(given[0])
      return callIn(caller, callback, this, given)
    }
}

/** What the server said may hold values of the app: the exception has the error's class and code alone. */
export function recordServerError(span: Span, error: unknown, product: string): void {
  try {
    if (error instanceof Error) {
      const { name, code } = error as Error & { readonly code?: unknown }
      const said = `${product} error of type '${name}' occurred (code: ${(code as string | undefined) ?? 'UNKNOWN'})`
      span.recordException(said)
    }
  } catch {
    // an error that cannot be read
  }
  setFailed(span, error)
}

/** The code of the server or of the system; else the error's class. */
function typeOf(error: unknown): string {
  try {
    const { code, name } = error as { readonly code?: unknown; readonly name?: unknown }
    return String((code ?? name ?? 'Error') as string)
  } catch {
    return 'Error'
  }
}
