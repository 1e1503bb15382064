import { SpanKind, trace, TraceFlags, type Tracer, type TracerProvider as ApiTracerProvider } from '@opentelemetry/api'
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  SamplingDecision,
  TraceIdRatioBasedSampler,
  type Sampler,
  type SamplingResult,
} from '@opentelemetry/sdk-trace'
import type { HeldChildren } from '../http/held-children.ts'
import { activeRequest } from '../http/request-record.ts'
import { takeCapture } from './capture.ts'
import { OwnTracer, type TracerSettings } from './own-tracer.ts'
import { namePlatformErrors } from './platform-errors.ts'
import { ownedScopes } from './owned-scopes.ts'
import { passThrough } from './pass-through.ts'
import type { RecordedSpan } from './recorded-span.ts'
import { spanObservers } from './span-observers.ts'
import { RequestSpan, type SpanLimits } from './request-span.ts'
import { scopeOf } from './scope.ts'
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
  return name.startsWith('parentbased_') ? byOwnParent(new ParentBasedSampler({ root })) : root
}

const SAMPLED: SamplingResult = { decision: SamplingDecision.RECORD_AND_SAMPLED }
const NOT_SAMPLED: SamplingResult = { decision: SamplingDecision.NOT_RECORD }

/** What a sampler that follows its parent says below a span of our own, which is valid and of this process: without reading its ids again for each span. */
function byOwnParent(sampler: Sampler): Sampler {
  return {
    shouldSample(parent, traceId, name, kind, attributes, links) {
      const above = trace.getSpan(parent)
      if (!(above instanceof RequestSpan)) return sampler.shouldSample(parent, traceId, name, kind, attributes, links)
      return above.spanContext().traceFlags & TraceFlags.SAMPLED ? SAMPLED : NOT_SAMPLED
    },
    toString: () => sampler.toString(),
  }
}

/** Makes every span that apps and instrumentations ask for; each is encoded and let go when it ends. */
export function createTracerProvider(options: {
  readonly sampler: Sampler
  readonly limits: SpanLimits
  readonly deliver: (scope: SpanScope, span: SpanData) => void
  /** What becomes of spans that nobody sampled. Undefined: nothing. */
  readonly unsampled?: Pick<HeldChildren, 'started' | 'ended'>
}): ApiTracerProvider {
  const { limits, deliver, unsampled } = options
  const settings: TracerSettings = {
    sampler: recordingRequests(options.sampler),
    limits,
    onStart(span, parent) {
      if (!(span.spanContext().traceFlags & TraceFlags.SAMPLED)) unsampled?.started(span, parent)
      for (const observer of spanObservers) span.marks.push(observer.onStart(span, parent))
    },
    onEnd(data, span) {
      if (data.status?.code === 2) namePlatformErrors(data)
      const { instrumentationScope: scope, marks } = span as RecordedSpan
      let isTold = takeCapture(data, scope)
      for (let i = 0; i < spanObservers.length; i++) if (spanObservers[i]!.onEnd(data, scope, marks[i])) isTold = true
      if (isTold) return
      if (data.flags) deliver(scope, data)
      else unsampled?.ended(span, scope, data)
    },
  }
  const tracers = new Map<string, Tracer>()
  return {
    getTracer(name, version, options) {
      if (ownedScopes.has(name)) return passThrough
      const scope = scopeOf(name || 'unknown', version, options?.schemaUrl)
      const key = `${scope.name}@${scope.version ?? ''}:${scope.schemaUrl ?? ''}`
      let tracer = tracers.get(key)
      if (!tracer) {
        tracer = new OwnTracer(scope, settings)
        if (tracers.size < MOST_TRACERS) tracers.set(key, tracer)
      }
      return tracer
    },
  }
}
const MOST_TRACERS = 1_000

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
