import {
  createTraceState,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Attributes,
} from '@opentelemetry/api'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { TracerProvider, type ReadableSpan } from '@opentelemetry/sdk-trace'
import { encodeSpan, encodeTraceRequest } from '../../../core/src/sdk/otlp/encode.ts'
import type { SpanData } from '../../../core/src/sdk/span-data.ts'
import type { StoredSpan } from '../../src/sink/stored-span.ts'

export const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736'
export const PARENT_ID = '00f067aa0ba902b7'
const LINKED = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', traceFlags: 1 }

/** What every encoder must carry. */
export const SIMPLE: Attributes = {
  text: 'Příliš žluťoučký 🐎',
  empty: '',
  long: 'x'.repeat(200),
  longer: 'ř🐎'.repeat(10_000),
  yes: true,
  no: false,
  zero: 0,
  one: 1,
  septet: 127,
  beyondSeptet: 128,
  minus: -1,
  minusMany: -300,
  int32: 2 ** 31,
  int33: 2 ** 32 + 5,
  minusInt33: -(2 ** 33) - 7,
  biggest: Number.MAX_SAFE_INTEGER,
  smallest: Number.MIN_SAFE_INTEGER,
  half: 0.5,
  tenth: -0.1,
  tiny: 5e-324,
  huge: 1e300,
  texts: ['a', '', 'č'.repeat(100)],
  ints: [1, -2, 2 ** 40],
  doubles: [0.25, -1.5],
  flags: [true, false],
  nothing: [],
}

/** What the official SDK writes for one span that has everything. */
export function officialSpan(attributes: Attributes): ReadableSpan {
  let ended: ReadableSpan | undefined
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.name': 'shop',
      'process.pid': 4711,
      'process.command_args': ['a', 'b'],
    }),
    spanProcessors: [
      {
        onStart() {},
        onEnd(span) {
          ended = span
        },
        forceFlush: () => Promise.resolve(),
        shutdown: () => Promise.resolve(),
      },
    ],
    spanLimits: { attributeCountLimit: Object.keys(attributes).length, eventCountLimit: 2, linkCountLimit: 2 },
  })
  const parent = trace.setSpanContext(ROOT_CONTEXT, {
    traceId: TRACE_ID,
    spanId: PARENT_ID,
    traceFlags: TraceFlags.SAMPLED,
    isRemote: true,
    traceState: createTraceState('vendor=span'),
  })
  const span = provider.getTracer('scope-of-test', '1.2.3').startSpan(
    'POST /orders',
    {
      kind: SpanKind.SERVER,
      startTime: [1_800_000_000, 123_456_789],
      attributes,
      links: [
        { context: { ...LINKED, spanId: '1'.repeat(16) } }, // dropped by the limit
        { context: LINKED, attributes: { why: 'batch' } },
        { context: { ...LINKED, spanId: PARENT_ID, traceState: createTraceState('vendor=link') } },
      ],
    },
    parent,
  )
  span.setAttribute('dropped by the limit', 1)
  span.addEvent('dropped by the limit')
  span.addEvent('first', { n: 1 }, [1_800_000_000, 200_000_000])
  span.addEvent('second', [1_800_000_001, 1])
  span.setStatus({ code: SpanStatusCode.ERROR, message: 'it broke ✗' })
  span.end([1_800_000_001, 999_999_999])
  if (!ended) throw new Error('the SDK ended no span')
  return ended
}

/** The same span, as our own encoder gets it. */
export function asSpanData(span: ReadableSpan): SpanData {
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
    events: span.events.map(({ name, time, attributes }) => ({
      name,
      atMs: ms(time),
      ...(attributes ? { attributes } : {}),
    })),
    links: span.links.map(({ context, attributes }) => ({
      traceId: context.traceId,
      spanId: context.spanId,
      ...({ traceState: context.traceState?.serialize() } as object), // not in SpanData yet
      ...(attributes ? { attributes } : {}),
    })),
    status: { code: span.status.code, message: span.status.message },
    droppedAttributes: span.droppedAttributesCount,
    droppedEvents: span.droppedEventsCount,
    droppedLinks: span.droppedLinksCount,
    flags: traceFlags,
  }
}

/** A whole request by our own encoder. */
export function ownRequest(span: ReadableSpan): Buffer {
  return encodeTraceRequest(span.resource.attributes, [
    { scope: ownScope(span), spans: [encodeSpan(asSpanData(span))] },
  ])
}

function ownScope({ instrumentationScope: { name, version } }: ReadableSpan): { name: string; version?: string } {
  return { name, ...(version ? { version } : {}) }
}

/** A stored span for tests that do not decode. `id` is short: 'a' is span id aaaaaaaaaaaaaaaa. */
export function stored(
  id: string,
  over: Partial<Omit<StoredSpan, 'parentSpanId' | 'resource'>> & { parent?: string; service?: string } = {},
): StoredSpan {
  const { parent, service = 'shop', ...rest } = over
  return {
    traceId: TRACE_ID,
    spanId: spanId(id),
    ...(parent === undefined ? {} : { parentSpanId: spanId(parent) }),
    name: id,
    kind: 'internal',
    startMs: 1000,
    endMs: 1010,
    attributes: {},
    events: [],
    links: [],
    status: { code: 'unset' },
    resource: { 'service.name': service },
    scope: { name: 'test' },
    flags: 1,
    ...rest,
  }
}

export function spanId(id: string): string {
  return id.repeat(16).slice(0, 16)
}
