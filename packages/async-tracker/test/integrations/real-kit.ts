// Core's own kit, with its channel written down and a request to spawn work from.
import { context, propagation, ROOT_CONTEXT, trace } from '@opentelemetry/api'
import type { EpochMs, QueueEmptied, TaskEvent, TaskKit } from '@afterspan/core/internal'
import { REQUEST_KEY, type RequestRecord } from '../../../core/src/http/request-record.ts'
import { AsyncContextManager } from '../../../core/src/sdk/context-manager.ts'
import { createPropagator } from '../../../core/src/sdk/propagator.ts'
import { createSampler, createTracerProvider } from '../../../core/src/sdk/tracer-provider.ts'
import type { SpanData } from '../../../core/src/sdk/span-data.ts'
import { processChannel, taskChannel } from '../../../core/src/tasks/channel.ts'
import { createKit } from '../../../core/src/tasks/kit.ts'

export interface RealKit {
  readonly kit: TaskKit
  readonly events: TaskEvent[]
  /** Queues that were emptied, without the time. */
  readonly emptied: Omit<QueueEmptied, 'at'>[]
  readonly spans: SpanData[]
  readonly errors: unknown[]
  clear(): void
  until(condition: () => boolean): Promise<void>
  /** Runs something as the handler of a request. */
  inRequest<R>(run: (request: RequestRecord) => R): R
}

export function createRealKit(): RealKit {
  const events: TaskEvent[] = []
  const emptied: Omit<QueueEmptied, 'at'>[] = []
  const spans: SpanData[] = []
  const errors: unknown[] = []
  const waiting = new Set<() => void>()
  const provider = createTracerProvider({
    sampler: createSampler('always_on', 1),
    limits: {
      attributes: 128,
      valueLength: Infinity,
      events: 128,
      eventAttributes: 128,
      links: 128,
      linkAttributes: 128,
    },
    deliver: (_, span) => spans.push(span),
  })
  const tracer = provider.getTracer('test')
  context.setGlobalContextManager(new AsyncContextManager())
  propagation.setGlobalPropagator(createPropagator(['tracecontext', 'baggage']))
  trace.setGlobalTracerProvider(provider)
  taskChannel.subscribe((event) => {
    events.push(event as TaskEvent)
    for (const check of waiting) check()
  })
  processChannel.subscribe((event) => {
    const { at: _, ...rest } = event as QueueEmptied
    if (rest.kind === 'emptied') emptied.push(rest)
  })
  return {
    kit: createKit({
      tracer: () => tracer,
      now: () => Date.now() as EpochMs,
      onError: (error) => errors.push(error),
    }),
    events,
    emptied,
    spans,
    errors,
    clear() {
      events.length = 0
      emptied.length = 0
      spans.length = 0
    },
    until(condition) {
      return new Promise((resolve) => {
        const check = (): void => {
          if (!condition()) return
          waiting.delete(check)
          resolve()
        }
        waiting.add(check)
        check()
      })
    },
    inRequest(run) {
      const span = tracer.startSpan('GET /order', {}, ROOT_CONTEXT)
      const { traceId, spanId } = span.spanContext()
      const request: RequestRecord = {
        ref: { traceId, spanId, sampled: true },
        method: 'GET',
        startedAt: 0,
        route: '/order',
        promised: 0,
        ended: false,
      }
      return context.with(trace.setSpan(ROOT_CONTEXT, span).setValue(REQUEST_KEY, request), () => run(request))
    },
  }
}
