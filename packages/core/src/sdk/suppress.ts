import { context, ROOT_CONTEXT } from '@opentelemetry/api'
import { isTracingSuppressed, suppressTracing } from '@opentelemetry/core'

/** Runs what is Afterspan's own work: it leaves no spans and no tasks, and it belongs to no request. */
export function withoutTracing<T>(fn: () => T): T {
  return context.with(suppressTracing(ROOT_CONTEXT), fn)
}

/** What the app does, within the trace it is in: what it asks of others is told already, and makes no spans of its own. */
export function withoutSpans<T>(fn: () => T): T {
  return context.with(suppressTracing(context.active()), fn)
}

/** Whether what runs now is Afterspan's own work. */
export function isOwnWork(): boolean {
  return isTracingSuppressed(context.active())
}
