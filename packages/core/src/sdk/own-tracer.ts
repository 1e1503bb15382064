import {
  context,
  INVALID_SPAN_CONTEXT,
  isSpanContextValid,
  SpanKind,
  trace,
  TraceFlags,
  type Attributes,
  type AttributeValue,
  type Context,
  type Link,
  type Span,
  type SpanContext,
  type SpanOptions,
  type Tracer,
} from '@opentelemetry/api'
import { isTracingSuppressed } from '@opentelemetry/core'
import { SamplingDecision, type Sampler } from '@opentelemetry/sdk-trace'
import { cleanValue } from './attribute-value.ts'
import { spanId, traceId } from './ids.ts'
import { RecordedSpan } from './recorded-span.ts'
import type { SpanInit, SpanLimits } from './request-span.ts'
import type { SpanScope } from './span-data.ts'
import { nowMs, toEpochMs } from './time.ts'

export interface TracerSettings {
  readonly sampler: Sampler
  readonly limits: SpanLimits
  readonly onStart: (span: RecordedSpan, parent: Context) => void
  readonly onEnd: SpanInit['onEnd']
}

/** The tracer of one scope, by the rules of the API: https://opentelemetry.io/docs/specs/otel/trace/api/#span-creation */
export class OwnTracer implements Tracer {
  readonly #scope: SpanScope
  readonly #settings: TracerSettings

  constructor(scope: SpanScope, settings: TracerSettings) {
    this.#scope = scope
    this.#settings = settings
  }

  startSpan(name: string, options: SpanOptions = {}, active: Context = context.active()): Span {
    if (isTracingSuppressed(active)) return trace.wrapSpanContext(INVALID_SPAN_CONTEXT)
    const { sampler, limits, onStart, onEnd } = this.#settings
    const around = options.root ? trace.deleteSpan(active) : active
    const given = trace.getSpanContext(around)
    const parent = given && isSpanContextValid(given) ? given : undefined
    const id = parent?.traceId ?? traceId()
    const kind = options.kind ?? SpanKind.INTERNAL
    const attributes = cleanAttributes(options.attributes, limits.valueLength)
    const links = options.links ?? NO_LINKS
    const sampled = sampler.shouldSample(around, id, name, kind, attributes, links as Link[])
    const own: SpanContext = {
      traceId: id,
      spanId: spanId(),
      traceFlags: sampled.decision === SamplingDecision.RECORD_AND_SAMPLED ? TraceFlags.SAMPLED : TraceFlags.NONE,
    }
    const traceState = sampled.traceState ?? parent?.traceState
    if (traceState) own.traceState = traceState
    if (sampled.decision === SamplingDecision.NOT_RECORD) return trace.wrapSpanContext(own)
    const span = new RecordedSpan({
      scope: this.#scope,
      context: own,
      parent,
      parentSpanId: parent?.spanId,
      name,
      kind,
      links,
      startMs: options.startTime === undefined ? nowMs() : toEpochMs(options.startTime),
      attributes: sampled.attributes
        ? Object.assign(attributes, cleanAttributes(sampled.attributes, limits.valueLength))
        : attributes,
      limits,
      onEnd,
    })
    onStart(span, around)
    return span
  }

  startActiveSpan<F extends (span: Span) => unknown>(name: string, ...rest: unknown[]): ReturnType<F> {
    if (rest.length === 0) return undefined as ReturnType<F>
    const run = rest[rest.length - 1] as F
    const options = rest.length > 1 ? (rest[0] as SpanOptions | undefined) : undefined
    const active = (rest.length > 2 ? (rest[1] as Context | undefined) : undefined) ?? context.active()
    const span = this.startSpan(name, options, active)
    return context.with(trace.setSpan(active, span), run as (span: Span) => ReturnType<F>, undefined, span)
  }
}

const NO_LINKS: readonly Link[] = []

/** A copy: the caller may use the object again. */
function cleanAttributes(attributes: Attributes | undefined, most: number): Attributes {
  const out: Attributes = {}
  for (const key in attributes) {
    if (key === '' || !Object.hasOwn(attributes, key)) continue
    const value = cleanValue(attributes[key], most) as AttributeValue
    if (value !== undefined) out[key] = value
  }
  return out
}
