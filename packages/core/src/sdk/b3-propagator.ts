// Zipkin's B3 (github.com/openzipkin/b3-propagation): one header, or the five X-B3-*. Either kind is read, whichever is written.
import { isSpanContextValid, trace, TraceFlags, type Context, type TextMapPropagator } from '@opentelemetry/api'
import { isTracingSuppressed } from '@opentelemetry/core'

const SINGLE = 'b3'
const MULTI = ['x-b3-traceid', 'x-b3-spanid', 'x-b3-sampled', 'x-b3-flags'] as const
const HEADER = /^([0-9a-f]{16}|[0-9a-f]{32})-([0-9a-f]{16})(?:-([01d]))?(?:-[0-9a-f]{16})?$/

type Read = (key: string) => string | undefined

export function createB3Propagator(writes: 'single' | 'multi'): TextMapPropagator {
  return {
    inject(context, carrier, setter) {
      const span = trace.getSpanContext(context)
      if (!span || !isSpanContextValid(span) || isTracingSuppressed(context)) return
      const sampled = span.traceFlags & TraceFlags.SAMPLED ? '1' : '0'
      if (writes === 'single') {
        setter.set(carrier, SINGLE, `${span.traceId}-${span.spanId}-${sampled}`)
        return
      }
      setter.set(carrier, MULTI[0], span.traceId)
      setter.set(carrier, MULTI[1], span.spanId)
      setter.set(carrier, MULTI[2], sampled)
    },
    extract(context, carrier, getter) {
      const read: Read = (key) => {
        const value = getter.get(carrier, key)
        return (Array.isArray(value) ? value[0] : value)?.trim().toLowerCase()
      }
      return fromSingle(context, read) ?? fromMulti(context, read) ?? context
    },
    fields: () => (writes === 'single' ? [SINGLE] : MULTI.slice(0, 3)),
  }
}

function fromSingle(context: Context, read: Read): Context | undefined {
  const found = HEADER.exec(read(SINGLE) ?? '')
  return found ? withParent(context, found[1]!, found[2]!, found[3]) : undefined
}

function fromMulti(context: Context, read: Read): Context | undefined {
  const [traceId = '', spanId = '', sampled, flags] = MULTI.map(read)
  const isWhole = /^(?:[0-9a-f]{16}|[0-9a-f]{32})$/.test(traceId) && /^[0-9a-f]{16}$/.test(spanId)
  return isWhole ? withParent(context, traceId, spanId, flags === '1' ? 'd' : sampled) : undefined
}

/** Without a word about sampling it is ours to decide, and we do. */
function withParent(
  context: Context,
  traceId: string,
  spanId: string,
  sampled: string | undefined,
): Context | undefined {
  const isDenied = sampled === '0' || sampled === 'false'
  const parent = {
    traceId: traceId.padStart(32, '0'),
    spanId,
    isRemote: true,
    traceFlags: isDenied ? TraceFlags.NONE : TraceFlags.SAMPLED,
  }
  return isSpanContextValid(parent) ? trace.setSpanContext(context, parent) : undefined
}
