// Trace context as Jaeger's own clients and AWS X-Ray send it. Loaded only where OTEL_PROPAGATORS names one of them.
import {
  isSpanContextValid,
  propagation,
  trace,
  TraceFlags,
  type Context,
  type TextMapGetter,
  type TextMapPropagator,
} from '@opentelemetry/api'
import { isTracingSuppressed } from '@opentelemetry/core'

const JAEGER = 'uber-trace-id'
const JAEGER_BAGGAGE = 'uberctx-'
const XRAY = 'x-amzn-trace-id'
const MOST_BAGGAGE = 64

/** `{trace}:{span}:{parent}:{flags}`, ids without leading zeros; the whole may be percent-encoded. Baggage in headers of its own. */
export function createJaegerPropagator(): TextMapPropagator {
  return {
    inject(context, carrier, setter) {
      const span = trace.getSpanContext(context)
      if (span && isSpanContextValid(span) && !isTracingSuppressed(context))
        setter.set(carrier, JAEGER, `${span.traceId}:${span.spanId}:0:0${(span.traceFlags & 1).toString(16)}`)
      for (const [key, { value }] of propagation.getBaggage(context)?.getAllEntries() ?? [])
        setter.set(carrier, `${JAEGER_BAGGAGE}${key}`, encodeURIComponent(value))
    },
    extract(context, carrier, getter) {
      const [traceId = '', spanId = '', , flags = ''] = decoded(read(carrier, getter, JAEGER))
        .toLowerCase()
        .split(':')
      const isOne = /^[0-9a-f]{1,32}$/.test(traceId) && /^[0-9a-f]{1,16}$/.test(spanId) && /^[0-9a-f]{1,2}$/.test(flags)
      const baggage = jaegerBaggage(context, carrier, getter)
      if (!isOne) return baggage
      return withParent(baggage, traceId.padStart(32, '0'), spanId.padStart(16, '0'), Number.parseInt(flags, 16) & 1)
    },
    fields: () => [JAEGER],
  }
}

function jaegerBaggage<C>(context: Context, carrier: C, getter: TextMapGetter<C>): Context {
  const keys = getter.keys(carrier).filter((key) => key.toLowerCase().startsWith(JAEGER_BAGGAGE))
  if (keys.length === 0) return context
  let baggage = propagation.getBaggage(context) ?? propagation.createBaggage()
  for (const key of keys.slice(0, MOST_BAGGAGE))
    baggage = baggage.setEntry(key.slice(JAEGER_BAGGAGE.length), { value: decoded(read(carrier, getter, key)) })
  return propagation.setBaggage(context, baggage)
}

/** `Root=1-{8 digits}-{24 digits};Parent={span};Sampled=1`, in any order, with more between. */
export function createXRayPropagator(): TextMapPropagator {
  return {
    inject(context, carrier, setter) {
      const span = trace.getSpanContext(context)
      if (!span || !isSpanContextValid(span) || isTracingSuppressed(context)) return
      const root = `1-${span.traceId.slice(0, 8)}-${span.traceId.slice(8)}`
      setter.set(carrier, XRAY, `Root=${root};Parent=${span.spanId};Sampled=${span.traceFlags & TraceFlags.SAMPLED}`)
    },
    extract(context, carrier, getter) {
      const parts = read(carrier, getter, XRAY).split(';', 16)
      const part = (name: string): string =>
        (parts.find((text) => text.trim().startsWith(`${name}=`)) ?? '')
          .trim()
          .slice(name.length + 1)
          .toLowerCase()
      const root = /^1-([0-9a-f]{8})-([0-9a-f]{24})$/.exec(part('Root'))
      const parent = /^[0-9a-f]{16}$/.exec(part('Parent'))
      const sampled = /^[01]$/.exec(part('Sampled'))
      if (!root || !parent || !sampled) return context
      return withParent(context, root[1]! + root[2]!, parent[0], Number(sampled[0]))
    },
    fields: () => [XRAY],
  }
}

function withParent(context: Context, traceId: string, spanId: string, flags: number): Context {
  const parent = { traceId, spanId, isRemote: true, traceFlags: flags }
  return isSpanContextValid(parent) ? trace.setSpanContext(context, parent) : context
}

function read<C>(carrier: C, getter: TextMapGetter<C>, key: string): string {
  const value = getter.get(carrier, key)
  return String((Array.isArray(value) ? value[0] : value) ?? '').slice(0, 512)
}

/** An outsider's escapes may be anything. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
