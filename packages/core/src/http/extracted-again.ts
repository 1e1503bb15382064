// The headers of a request carry its context, and it was taken from them as the request came. An app that takes it a second time, from
// the root as is written everywhere, would leave the request: nothing that it does would be known as the request's.
import { context, isSpanContextValid, trace, type Context, type Span, type TextMapPropagator } from '@opentelemetry/api'
import { INBOUND_KEY, LayeredContext, SPAN_KEY } from '../sdk/request-context.ts'
import { activeRequest, type RequestRecord } from './request-record.ts'

/** Gives whoever extracts from the headers of the request that is being served the context that it has. */
export function withinRequest(propagator: TextMapPropagator): TextMapPropagator {
  return {
    inject: (from, carrier, setter) => {
      propagator.inject(from, carrier, setter)
    },
    fields: () => propagator.fields(),
    extract(given, carrier, getter) {
      const extracted = propagator.extract(given, carrier, getter)
      const active = context.active()
      const request = activeRequest(active)
      if (!request || !isOf(request, carrier) || (activeRequest(given) ?? request) !== request) return extracted
      return new ContextWithin(extracted, active, spanOf(request, active, extracted))
    },
  }
}

function isOf({ response }: RequestRecord, carrier: unknown): boolean {
  return response !== undefined && (response as { req?: { headers?: unknown } }).req?.headers === carrier
}

/** Next.js writes a span of its own into the headers, between what it calls middleware and the page: it is the parent of what follows. */
function spanOf({ ref }: RequestRecord, active: Context, extracted: Context): Span | undefined {
  const named = trace.getSpanContext(extracted)
  const own = trace.getSpan(active)
  if (!named || !isSpanContextValid(named) || named.traceId !== ref.traceId || named.spanId === ref.spanId) return own
  const inbound = active.getValue(INBOUND_KEY) as Context | undefined
  return inbound && trace.getSpanContext(inbound)?.spanId === named.spanId ? own : trace.wrapSpanContext(named)
}

/** What was extracted, and for the rest the active context. */
class ContextWithin extends LayeredContext {
  readonly #extracted: Context
  readonly #active: Context
  readonly #span: Span | undefined

  constructor(extracted: Context, active: Context, span: Span | undefined) {
    super()
    this.#extracted = extracted
    this.#active = active
    this.#span = span
  }
  getValue(key: symbol): unknown {
    return key === SPAN_KEY ? this.#span : (this.#extracted.getValue(key) ?? this.#active.getValue(key))
  }
}
