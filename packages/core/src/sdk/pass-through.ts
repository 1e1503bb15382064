import {
  context,
  INVALID_SPAN_CONTEXT,
  trace,
  type Context,
  type Span,
  type SpanOptions,
  type Tracer,
} from '@opentelemetry/api'
import { startActive } from './own-tracer.ts'

/** A tracer whose spans record nothing and carry the current span's context: what a replaced scope gets, so that its children keep their parent. */
export const passThrough: Tracer = {
  startSpan(_name: string, _options?: SpanOptions, parent: Context = context.active()): Span {
    const around = trace.getSpan(parent)
    const span: StandIn = trace.wrapSpanContext(around?.spanContext() ?? INVALID_SPAN_CONTEXT)
    span.standsFor = standsFor(around)
    return span
  },
  startActiveSpan(name: string, ...rest: unknown[]): any {
    return startActive(passThrough, name, rest)
  },
}

interface StandIn extends Span {
  standsFor?: Span | undefined
}

/** The span itself, or the one that it carries the context of. */
export function standsFor(span: StandIn | undefined): Span | undefined {
  return span?.standsFor ?? span
}
