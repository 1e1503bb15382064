import { context, SpanStatusCode, trace, type Attributes, type Context, type Span } from '@opentelemetry/api'
import { isTracingSuppressed } from '@opentelemetry/core'
import type { MetricRegistry } from '../metrics/registry.ts'

/** What those that tell of databases get from core. */
export interface Teller {
  /** Begins a CLIENT span for `asker()`. The attributes are texts and numbers, none is undefined, and nobody else has the object. */
  readonly startSpan: (name: string, attributes: Attributes, caller: Context) => Span
  readonly metrics: MetricRegistry
  /** Of the text of an attribute: what is beyond it is cut off. */
  readonly longest: number
  /** Calls a function in a context, so that an error that it throws is known to be that context's. */
  readonly callIn: (
    from: Context,
    fn: (...args: never[]) => unknown,
    self: unknown,
    args: readonly unknown[],
  ) => unknown
}

const followed = new WeakSet<object>()

/** Once for each class: it may come by several files and by both module formats, and others may have wrapped its methods in between. */
export function isNew(prototype: object): boolean {
  if (followed.has(prototype)) return false
  followed.add(prototype)
  return true
}

/** The context of who asks now. Undefined where nothing is to be told: nobody's own span is around (a poller would make a trace of each question), or it is work of Afterspan's own. */
export function asker(): Context | undefined {
  const active = context.active()
  return trace.getSpan(active) === undefined || isTracingSuppressed(active) ? undefined : active
}

/** Whatever was thrown: read without trusting it. */
function messageOf(error: unknown): string | undefined {
  try {
    return typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : undefined
  } catch {
    return undefined
  }
}

/** An ERROR status in the words of what was thrown. */
export function setFailed(span: Span, error: unknown): void {
  const message = messageOf(error)
  span.setStatus({ code: SpanStatusCode.ERROR, ...(message === undefined ? {} : { message }) })
}
