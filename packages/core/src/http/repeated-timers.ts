// setInterval() in a request: Node calls it in that request's context for as long as the process lives, and what a scheduler does that
// somebody has once deployed over HTTP would be that request's work for ever. So the request is forgotten there once it is over.
import { context, trace, type Context } from '@opentelemetry/api'
import timers from 'node:timers'
import { systemClock } from '../clock.ts'
import { replaceMethod } from '../instrument/replace-method.ts'
import { LayeredContext } from '../sdk/request-context.ts'
import { activeRequest, activeTask, type RequestRecord } from './request-record.ts'

/** As with timers that a request leaves behind: what waits for something of its own has seen it by then. */
const FOLLOWED_MS = 60_000

export function watchRepeatedTimers(nowMs = systemClock.monotonicMs): void {
  replaceMethod(
    timers,
    'setInterval',
    (original) =>
      function setInterval(this: unknown, ...args: unknown[]): unknown {
        const from = context.active()
        const record = activeRequest(from)
        // Work that the app names itself (track, runTask) is over when it says so.
        if (!record || activeTask(from) !== undefined) return original.apply(this, args)
        return context.with(new PassingContext(from, record, nowMs), () => original.apply(this, args))
      },
  )
  // The two are one in Node, and stay one.
  Reflect.set(globalThis, 'setInterval', timers.setInterval)
}

/** A request's context, until the request has been answered, its time is up, and the span that was active there has ended. */
export class PassingContext extends LayeredContext {
  #of: { readonly context: Context; readonly record: RequestRecord } | undefined
  readonly #nowMs: () => number
  readonly #untilMs: number

  constructor(from: Context, record: RequestRecord, nowMs: () => number) {
    super()
    this.#of = { context: from, record }
    this.#nowMs = nowMs
    this.#untilMs = nowMs() + FOLLOWED_MS
  }
  getValue(key: symbol): unknown {
    const of = this.#of
    if (!of) return undefined
    const { record } = of
    if (record.ended && this.#nowMs() > this.#untilMs && !trace.getSpan(of.context)?.isRecording()) {
      this.#of = undefined
      return undefined
    }
    return of.context.getValue(key)
  }
}
