import { context, trace, type Context } from '@opentelemetry/api'
import { replaceMethod } from '../instrument/replace-method.ts'
import { followPromise } from './followed-promise.ts'
import { tellConnect } from './pg-connect.ts'
import type { ConnectionParameters, Durations } from './durations.ts'
import { attributesOf } from './pg-connection.ts'
import { askPg, pgDurations } from './pg-question.ts'
import { answering, type Callback, type Question } from './question.ts'
import { asker, isNew, type Teller } from './teller.ts'

interface PgClient extends ConnectionParameters {
  readonly connectionParameters?: ConnectionParameters
}
/** An object that pg hands the protocol to: its own Query, cursors, streams, COPY. */
interface Submittable {
  callback?: Callback
  handleError?: (...args: unknown[]) => unknown
  handleReadyForQuery?: (...args: unknown[]) => unknown
  once?: (event: string, listener: () => void) => unknown
  readonly submit: Callback
}

/** Tells of each question, in each of its forms, and of each connection. */
export function watchPgClient(prototype: object, teller: Teller): void {
  if (!isNew(prototype)) return
  const { startSpan, callIn, metrics } = teller
  let durations: Durations | undefined
  replaceMethod(
    prototype,
    'query',
    (original) =>
      function (this: PgClient, ...args: unknown[]) {
        const caller = asker()
        const to = caller && this.connectionParameters
        if (!to) return original.apply(this, args)
        const question = askPg(startSpan, (durations ??= pgDurations(metrics)), to, args[0], caller)
        try {
          followCallback(args, question, { caller, callIn })
          const result = original.apply(this, args)
          return isSubmittable(result) ? result : followPromise(result, question)
        } catch (error) {
          question.refuse(error)
          throw error
        }
      },
  )
  replaceMethod(
    prototype,
    'connect',
    (original) =>
      function (this: PgClient, ...args: unknown[]) {
        const caller = asker()
        if (!caller) return original.apply(this, args)
        const span = startSpan('pg.connect', attributesOf(this), caller)
        const within = trace.setSpan(caller, span)
        return tellConnect(span, args, { caller, callIn }, () =>
          context.with(within, Reflect.apply, undefined, original, this, args),
        )
      },
  )
}

/** Whatever of the app's is to be called with the answer: it hears of it after the span, and in the context of who asked. */
function followCallback(
  args: unknown[],
  question: Question,
  asking: { readonly caller: Context; readonly callIn: Teller['callIn'] },
): void {
  const answered = answering(question, asking)
  const asked = args[0] as { readonly callback?: unknown; readonly submit?: unknown } | string | null | undefined
  const own = typeof asked === 'object' && asked !== null ? asked.callback : undefined
  const submits = typeof asked === 'object' && typeof asked?.submit === 'function'
  if (submits) followSubmittable(asked as Submittable, question)
  if (submits && typeof own === 'function') {
    ;(asked as Submittable).callback = answered(own as Callback)
    return
  }
  for (let i = Math.min(args.length, 3) - 1; i > 0; i--)
    if (typeof args[i] === 'function') {
      args[i] = answered(args[i] as Callback)
      return
    }
  // A config may be used again and again: what the app gave is left as it is.
  if (typeof own === 'function')
    args[0] = Object.create(asked as object, { callback: { value: answered(own as Callback), writable: true } })
}

/** Not each of them has a callback, but each is told by pg when it failed, and when the connection is free for the next. */
function followSubmittable(query: Submittable, question: Question): void {
  const { handleError, handleReadyForQuery } = query
  if (typeof handleError === 'function')
    query.handleError = function (...args) {
      question.settle(args[0])
      return handleError.apply(this, args)
    }
  if (typeof handleReadyForQuery !== 'function') {
    query.once?.('end', () => question.settle())
    return
  }
  query.handleReadyForQuery = function (...args) {
    try {
      // It may find only now that a row could not be read.
      return handleReadyForQuery.apply(this, args)
    } finally {
      question.settle()
    }
  }
}

/** It is given back as it was handed in, and told by its own callbacks, also where it looks like a promise. */
function isSubmittable(result: unknown): boolean {
  return typeof result === 'object' && result !== null && 'submit' in result
}
