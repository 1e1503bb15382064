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
import { activeRequest } from '../http/request-record.ts'
import { cleanValue } from './attribute-value.ts'
import { spanId, traceId } from './ids.ts'
import { RecordedSpan } from './recorded-span.ts'
import { RequestSpan, type SpanInit, type SpanLimits } from './request-span.ts'
import type { SpanScope } from './span-data.ts'
import { toEpochMs } from './time.ts'

export interface TracerSettings {
  readonly sampler: Sampler
  readonly limits: SpanLimits
  readonly onStart: (span: RecordedSpan, parent: Context) => void
  readonly onEnd: SpanInit['onEnd']
}

interface Asked {
  readonly kind: SpanKind
  readonly attributes: Attributes
  readonly options: Pick<SpanOptions, 'links' | 'startTime'>
}

/** The tracer of one scope, by the rules of the API: https://opentelemetry.io/docs/specs/otel/trace/api/#span-creation */
export class OwnTracer implements Tracer {
  readonly #scope: SpanScope
  readonly #settings: TracerSettings

  constructor(scope: SpanScope, settings: TracerSettings) {
    this.#scope = scope
    this.#settings = settings
  }

  startSpan(name: string, given?: SpanOptions | null, within?: Context | null): Span {
    const active = within ?? context.active()
    if (isTracingSuppressed(active)) return trace.wrapSpanContext(INVALID_SPAN_CONTEXT)
    const options = given ?? {}
    const { attributes, root } = options
    const kind = isKind(options.kind) ? options.kind : SpanKind.INTERNAL
    const cleaned = cleanAttributes(attributes, this.#settings.limits.valueLength)
    return this.#start(String(name), { kind, attributes: cleaned, options }, root ? trace.deleteSpan(active) : active)
  }

  /** The same for those who know that tracing is not suppressed, and whose attributes are texts and numbers in an object that is nobody else's: it is kept as it is. */
  startClient(name: string, attributes: Attributes, active: Context): Span {
    return this.#start(name, { kind: SpanKind.CLIENT, attributes, options: {} }, active)
  }

  #start(name: string, { kind, attributes, options }: Asked, around: Context): Span {
    const { sampler, limits, onStart, onEnd } = this.#settings
    const above = trace.getSpan(around)
    const isRetold = kind === SpanKind.SERVER && isServed(above, around)
    if (isRetold) kind = SpanKind.INTERNAL
    const given = above?.spanContext()
    // Those of our own are valid.
    const parent = given && (above instanceof RequestSpan || isSpanContextValid(given)) ? given : undefined
    const id = parent?.traceId ?? traceId()
    const links = Array.isArray(options.links) ? options.links.filter(isLink) : []
    const sampled = sampler.shouldSample(around, id, name, kind, attributes, links)
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
      startMs: toEpochMs(options.startTime),
      attributes: sampled.attributes
        ? Object.assign(attributes, cleanAttributes(sampled.attributes, limits.valueLength))
        : attributes,
      limits,
      onEnd,
    })
    if (isRetold) span.isRetold = true
    onStart(span, around)
    return span
  }

  startActiveSpan<F extends (span: Span) => unknown>(name: string, ...rest: unknown[]): ReturnType<F> {
    return startActive(this, name, rest) as ReturnType<F>
  }
}

/** What is none would be written as a number; one that is not finite without an end. */
function isKind(kind: unknown): kind is SpanKind {
  return typeof kind === 'number' && SpanKind[kind] !== undefined
}

function isLink(link: Link | null | undefined): link is Link {
  return Boolean(link?.context)
}

/** A request that this process serves already: Next.js tells each of its own a second time. There is one SERVER span of a request. */
function isServed(above: Span | undefined, around: Context): boolean {
  return (above instanceof RequestSpan && above.kind === SpanKind.SERVER) || activeRequest(around)?.ended === false
}

/** `startActiveSpan` of any tracer: the function stands last, before it options and a context, if at all. */
export function startActive(tracer: Pick<Tracer, 'startSpan'>, name: string, rest: readonly unknown[]): unknown {
  if (rest.length === 0) return undefined
  const run = rest[rest.length - 1] as (span: Span) => unknown
  const options = rest.length > 1 ? (rest[0] as SpanOptions | undefined) : undefined
  const active = (rest.length > 2 ? (rest[1] as Context | undefined) : undefined) ?? context.active()
  const span = tracer.startSpan(name, options, active)
  return context.with(trace.setSpan(active, span), run, undefined, span)
}

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
