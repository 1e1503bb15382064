import type { ResourceAttributes } from '../contracts/task.ts'
import {
  SpanKind,
  trace,
  TraceFlags,
  type Context,
  type Span,
  type SpanContext,
  type SpanOptions,
  type Tracer,
  type TracerProvider as ApiTracerProvider,
} from '@opentelemetry/api'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  SamplingDecision,
  TraceIdRatioBasedSampler,
  TracerProvider,
  type ReadableSpan,
  type Sampler,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace'
import { context } from '@opentelemetry/api'
import type { HeldChildren } from '../http/held-children.ts'
import { activeRequest } from '../http/request-record.ts'
import { takeCapture } from './capture.ts'
import { namePlatformErrors } from './platform-errors.ts'
import { ownedScopes } from './owned-scopes.ts'
import { spanObservers } from './span-observers.ts'
import type { SpanLimits } from './request-span.ts'
import type { SpanData, SpanScope } from './span-data.ts'

export type SamplerName =
  | 'always_on'
  | 'always_off'
  | 'traceidratio'
  | 'parentbased_always_on'
  | 'parentbased_always_off'
  | 'parentbased_traceidratio'

export function createSampler(name: SamplerName, argument: number): Sampler {
  const root = name.endsWith('always_off')
    ? new AlwaysOffSampler()
    : name.endsWith('traceidratio')
      ? new TraceIdRatioBasedSampler(argument)
      : new AlwaysOnSampler()
  return name.startsWith('parentbased_') ? new ParentBasedSampler({ root }) : root
}

/** The official provider for every span that apps and instrumentations make; each is encoded and let go when it ends. */
export function createTracerProvider(options: {
  readonly resource: ResourceAttributes
  readonly sampler: Sampler
  readonly limits: SpanLimits
  readonly deliver: (scope: SpanScope, span: SpanData) => void
  /** What becomes of spans that nobody sampled. Undefined: nothing. */
  readonly unsampled?: Pick<HeldChildren, 'started' | 'ended'>
}): ApiTracerProvider {
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ ...options.resource }),
    sampler: recordingRequests(options.sampler),
    spanLimits: {
      attributeCountLimit: options.limits.attributes,
      attributeValueLengthLimit: options.limits.valueLength,
      eventCountLimit: options.limits.events,
      linkCountLimit: options.limits.links,
      attributePerEventCountLimit: options.limits.eventAttributes,
      attributePerLinkCountLimit: options.limits.linkAttributes,
    },
    spanProcessors: [deliverer(options.deliver, options.unsampled)],
  })
  return {
    getTracer(name, version, settings) {
      return ownedScopes.has(name) ? passThrough : provider.getTracer(name, version, settings)
    },
  }
}

/** What a request does is recorded though nobody sampled it: it may outlive the response and fail, and that is told. So are messages that no kit tells of. */
function recordingRequests(sampler: Sampler): Sampler {
  return {
    shouldSample(parent, traceId, name, kind, attributes, links) {
      const result = sampler.shouldSample(parent, traceId, name, kind, attributes, links)
      if (result.decision !== SamplingDecision.NOT_RECORD) return result
      const isOthersMessage = kind >= SpanKind.PRODUCER && attributes['afterspan.task.name'] === undefined
      return isOthersMessage || activeRequest(parent) ? { ...result, decision: SamplingDecision.RECORD } : result
    },
    toString: () => sampler.toString(),
  }
}

function deliverer(
  deliver: (scope: SpanScope, span: SpanData) => void,
  unsampled: Pick<HeldChildren, 'started' | 'ended'> | undefined,
): SpanProcessor {
  return {
    onStart(span, parent) {
      if (!(span.spanContext().traceFlags & TraceFlags.SAMPLED)) unsampled?.started(span, parent)
      for (const observer of spanObservers) observer.onStart(span as unknown as ReadableSpan, parent)
    },
    onEnd(span) {
      const data = toSpanData(span)
      if (data.status?.code === 2) namePlatformErrors(data)
      const scope = span.instrumentationScope
      let isTold = takeCapture(data, scope)
      for (const observer of spanObservers) if (observer.onEnd(data, scope)) isTold = true
      if (isTold) return
      if (span.spanContext().traceFlags & TraceFlags.SAMPLED) deliver(scope, data)
      else unsampled?.ended(span, scope, data)
    },
    forceFlush: () => Promise.resolve(),
    shutdown: () => Promise.resolve(),
  } as SpanProcessor
}

function toSpanData(span: ReadableSpan): SpanData {
  const { traceId, spanId, traceFlags, traceState } = span.spanContext()
  const ms = ([seconds, nanos]: readonly [number, number]): number => seconds * 1000 + nanos / 1e6
  return {
    traceId,
    spanId,
    parentSpanId: span.parentSpanContext?.spanId,
    traceState: traceState?.serialize(),
    name: span.name,
    kind: (span.kind + 1) as SpanData['kind'],
    startMs: ms(span.startTime),
    endMs: ms(span.endTime),
    attributes: span.attributes,
    ...(span.events.length > 0
      ? {
          events: span.events.map((e) => ({
            name: e.name,
            atMs: ms(e.time),
            ...(e.attributes ? { attributes: e.attributes } : {}),
          })),
        }
      : {}),
    ...(span.links.length > 0
      ? {
          links: span.links.map((l) => ({
            traceId: l.context.traceId,
            spanId: l.context.spanId,
            traceState: l.context.traceState?.serialize(),
            ...(l.attributes ? { attributes: l.attributes } : {}),
          })),
        }
      : {}),
    ...(span.status.code !== 0
      ? { status: { code: span.status.code as 0 | 1 | 2, message: span.status.message } }
      : {}),
    droppedAttributes: span.droppedAttributesCount,
    droppedEvents: span.droppedEventsCount,
    droppedLinks: span.droppedLinksCount,
    flags: traceFlags,
  }
}

/** A tracer whose spans record nothing and carry the current span's context: what a replaced scope gets, so that its children keep their parent. */
const passThrough: Tracer = {
  startSpan(_name: string, _options?: SpanOptions, parent: Context = context.active()): Span {
    return trace.wrapSpanContext(trace.getSpanContext(parent) ?? INVALID)
  },
  startActiveSpan(...args: unknown[]): any {
    const run = args[args.length - 1] as (span: Span) => unknown
    const parent = args.length > 3 ? (args[2] as Context) : context.active()
    const span = passThrough.startSpan('', {}, parent)
    return context.with(trace.setSpan(parent, span), run, undefined, span)
  },
}
const INVALID: SpanContext = { traceId: '0'.repeat(32), spanId: '0'.repeat(16), traceFlags: 0 }
