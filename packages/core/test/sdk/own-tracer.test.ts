import {
  context,
  createTraceState,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Context,
  type Span,
} from '@opentelemetry/api'
import { suppressTracing } from '@opentelemetry/core'
import { AlwaysOnSampler, SamplingDecision, type Sampler } from '@opentelemetry/sdk-trace'
import { beforeEach, describe, expect, test } from 'vitest'
import { REQUEST_KEY, type RequestRecord } from '../../src/http/request-record.ts'
import { createSampler, createTracerProvider } from '../../src/sdk/tracer-provider.ts'
import { encodeSpan } from '../../src/sdk/otlp/encode.ts'
import type { SpanData, SpanScope } from '../../src/sdk/span-data.ts'

const PARENT = {
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  traceFlags: TraceFlags.SAMPLED,
}
const PARENT_REF = { traceId: PARENT.traceId, spanId: PARENT.spanId, sampled: true }
const inParent: Context = trace.setSpanContext(ROOT_CONTEXT, PARENT)
const told: { scope: SpanScope; span: SpanData }[] = []
beforeEach(() => {
  told.length = 0
})

function tracer(sampler: Sampler = new AlwaysOnSampler(), limits: object = {}) {
  return createTracerProvider({
    sampler,
    limits: {
      attributes: 128,
      valueLength: Number.POSITIVE_INFINITY,
      events: 128,
      eventAttributes: 128,
      links: 128,
      linkAttributes: 128,
      ...limits,
    },
    deliver: (scope, span) => told.push({ scope, span }),
  }).getTracer('shop', '1.2.0')
}
function ended(span: Span): SpanData {
  span.end()
  return told.at(-1)!.span
}
function sampled(result: object): Sampler {
  return { shouldSample: () => ({ decision: SamplingDecision.RECORD_AND_SAMPLED, ...result }), toString: () => 'test' }
}

describe('a span', () => {
  test('is a child of the active one, and tells its scope', () => {
    const span = tracer().startSpan('SELECT', { kind: SpanKind.CLIENT }, inParent)
    expect(ended(span)).toMatchObject({
      name: 'SELECT',
      kind: 3,
      traceId: PARENT.traceId,
      parentSpanId: PARENT.spanId,
      flags: 1,
    })
    expect(told[0]!.scope).toEqual({ name: 'shop', version: '1.2.0' })
  })
  test('begins a trace where it is asked to, and where its parent is none', () => {
    const root = ended(tracer().startSpan('a', { root: true }, inParent))
    const invalid = trace.setSpanContext(ROOT_CONTEXT, { ...PARENT, traceId: '0'.repeat(32) })
    const orphan = ended(tracer().startSpan('b', {}, invalid))
    for (const { traceId, parentSpanId } of [root, orphan]) {
      expect(traceId).toMatch(/^(?!0{32}|0af7651916)[0-9a-f]{32}$/)
      expect(parentSpanId).toBeUndefined()
    }
  })
  test('is nothing where tracing is suppressed, and carries on what is not sampled', () => {
    expect(tracer().startSpan('a', {}, suppressTracing(inParent)).isRecording()).toBe(false)
    const unsampled = tracer(sampled({ decision: SamplingDecision.NOT_RECORD })).startSpan('a', {}, inParent)
    expect(unsampled.isRecording()).toBe(false)
    expect(unsampled.spanContext()).toMatchObject({ traceId: PARENT.traceId, traceFlags: 0 })
    unsampled.end()
    expect(told).toEqual([])
  })
  test('takes what its sampler adds, and its trace state', () => {
    const traceState = createTraceState('a=1')
    const span = tracer(sampled({ attributes: { 'sampling.rule': 'all' }, traceState })).startSpan(
      'a',
      { attributes: { n: 1 } },
      inParent,
    )
    expect(span.spanContext().traceState?.serialize()).toBe('a=1')
    expect(ended(span)).toMatchObject({ attributes: { n: 1, 'sampling.rule': 'all' }, traceState: 'a=1' })
  })
  test('keeps copies of what an attribute can be, and leaves out the rest', () => {
    const list = ['a', 'b']
    const own = { list, text: 'abcdef', flag: false, nested: { deep: ['xyzuvw'] } }
    const span = tracer(undefined, { valueLength: 4 }).startSpan('a', {
      attributes: {
        ...own,
        '': 'no name',
        fn: (() => {}) as never,
        big: 1n as never,
        none: undefined,
        none2: null as never,
      },
    })
    list.push('c')
    span.setAttribute('bytes', new Uint8Array([1, 2]) as never).setAttribute('date', new Date() as never)
    expect(ended(span).attributes).toEqual({
      list: ['a', 'b'],
      text: 'abcd',
      flag: false,
      nested: { deep: ['xyzu'] },
      bytes: new Uint8Array([1, 2]),
    })
  })
  test('of an object that holds itself many times, or throws where it is read, harms nobody', () => {
    const cycle: Record<string, unknown> = { n: 1 }
    for (const name of ['a', 'b', 'c']) cycle[name] = cycle
    const throwing = Object.defineProperty({}, 'x', {
      enumerable: true,
      get() {
        throw new Error('a getter that throws')
      },
    })
    const span = tracer().startSpan('a', { attributes: { cycle: cycle as never, throwing } })
    span.setAttribute('throwing', throwing as never)
    expect(ended(span).attributes).toEqual({ cycle: { n: 1, a: null, b: null, c: null } })
  })
  test('kept a list of any length, and a piece of memory that the app used again', () => {
    const memory = Buffer.from('abcd')
    const attributes = {
      list: Array.from({ length: 5_000 }, (_, i) => i),
      texts: Array(5_000).fill('x'.repeat(100)),
      memory,
    }
    const span = tracer(undefined, { valueLength: 50 }).startSpan('a', { attributes: attributes as never })
    memory.fill(0)
    const { list, texts, memory: kept } = ended(span).attributes as Record<string, unknown[]>
    expect(list).toEqual(attributes.list.slice(0, 1_000))
    expect(texts!.length).toBe(1_000)
    expect(texts!.join('')).toBe('x'.repeat(16 * 50))
    expect(Buffer.from(kept as never).toString()).toBe('abcd')
  })
  test('of a kind that is none stopped the process for ever', () => {
    for (const kind of [Infinity, -1, NaN, 7, 1.5, 'SERVER', 'client', null, {}] as never[])
      expect(encodeSpan(ended(tracer().startSpan('a', { kind }))).length).toBeGreaterThan(0)
    expect(told.map(({ span }) => span.kind)).toEqual(told.map(() => 1))
  })
  test('threw as it ended below a parent whose trace state is a text, and as it was linked to one', () => {
    const parent = { ...PARENT, traceState: 'a=1' as never }
    const links = [{ context: parent }]
    const span = tracer().startSpan('a', { links }, trace.setSpanContext(ROOT_CONTEXT, parent)).addLink(links[0]!)
    expect(ended(span)).toMatchObject({ traceId: PARENT.traceId, traceState: undefined })
  })
  test('holds to its limits, and counts what it drops', () => {
    const link = { context: PARENT, attributes: { a: 1, b: 2 } }
    const span = tracer(undefined, { attributes: 2, events: 1, links: 1, linkAttributes: 1 }).startSpan('a', {
      attributes: { a: 1, b: 2, c: 3 },
      links: [link, link],
    })
    span.addEvent('one').addEvent('two').addLink(link)
    expect(ended(span)).toMatchObject({
      attributes: { a: 1, b: 2 },
      droppedAttributes: 1,
      droppedEvents: 1,
      droppedLinks: 2,
      links: [{ traceId: PARENT.traceId, attributes: { a: 1 } }],
    })
  })
  test('begins and ends when it is told to, in each form of time', () => {
    const at = Date.UTC(2026, 0, 1)
    for (const [startTime, endTime] of [
      [at, at + 5],
      [new Date(at), new Date(at + 5)],
      [
        [at / 1000, 0],
        [at / 1000, 5_000_000],
      ],
    ] as const) {
      tracer()
        .startSpan('a', { startTime: startTime as number })
        .end(endTime as number)
      expect(told.at(-1)!.span).toMatchObject({ startMs: at, endMs: at + 5 })
    }
    tracer()
      .startSpan('a', { startTime: at })
      .end(at - 1)
    expect(told.at(-1)!.span).toMatchObject({ startMs: at, endMs: at })
  })
  test('names an exception by its code, else by its name', () => {
    const span = tracer().startSpan('a')
    span.recordException(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }))
    span.recordException(new TypeError('no number'))
    span.recordException('a text')
    span.recordException({} as Error)
    const strange = Object.defineProperty(new Error('x'), 'message', {
      get() {
        throw new Error('a getter that throws')
      },
    })
    expect(() => {
      span.recordException(strange)
      span.recordException(null as never)
    }).not.toThrow()
    expect(
      ended(span).events?.map(({ attributes }) => [attributes?.['exception.type'], attributes?.['exception.message']]),
    ).toEqual([
      ['ECONNREFUSED', 'refused'],
      ['TypeError', 'no number'],
      [undefined, 'a text'],
      ['Error', ''],
    ])
  })
  test('that is told what is no name, link, status or time threw into the app, or was lost', () => {
    const none = null as never
    const before = Date.now()
    const span = tracer().startSpan(undefined as never, none, none)
    span
      .setAttributes(none)
      .addEvent(none, none, 'when' as never)
      .addLink(none)
      .addLink({} as never)
      .addLinks(none)
    span
      .setStatus(none)
      .setStatus({ code: 99 as never })
      .updateName(none)
    span.end(new Date(Number.NaN))
    const { name, events, links, status, startMs, endMs } = told.at(-1)!.span
    expect({ name, links, status }).toEqual({ name: 'null', links: undefined, status: undefined })
    expect(events!.map((event) => event.name)).toEqual(['null'])
    for (const at of [startMs, endMs, events![0]!.atMs]) expect(Math.abs(at - before)).toBeLessThan(5_000)
    const odd = { links: [none], startTime: 'z' as never, attributes: 5 as never }
    expect(ended(tracer().startSpan('odd', odd)).startMs).toBeGreaterThan(before - 5_000)
  })
  test('is inert after its end, and is told once', () => {
    const span = tracer().startSpan('a')
    span.end()
    span.setAttribute('late', 1).setStatus({ code: SpanStatusCode.ERROR }).updateName('b').addEvent('c').end()
    expect(told).toHaveLength(1)
    expect(told[0]!.span).toMatchObject({ name: 'a', attributes: {} })
  })
  test('can be read as the spans of the SDK can', () => {
    const at = Date.UTC(2026, 0, 1)
    const span = tracer().startSpan(
      'a',
      { kind: SpanKind.CLIENT, startTime: at, links: [{ context: PARENT }] },
      inParent,
    ) as any
    span
      .addEvent('x', { n: 1 }, at + 100)
      .setStatus({ code: SpanStatusCode.ERROR, message: 'no' })
      .end(at + 250)
    expect(span).toMatchObject({
      kind: SpanKind.CLIENT,
      parentSpanContext: PARENT,
      instrumentationScope: { name: 'shop' },
      startTime: [at / 1000, 0],
      endTime: [at / 1000, 250_000_000],
      duration: [0, 250_000_000],
      status: { code: SpanStatusCode.ERROR, message: 'no' },
      events: [{ name: 'x', time: [at / 1000, 100_000_000], attributes: { n: 1 } }],
      links: [{ context: PARENT }],
      ended: true,
    })
  })
})

test('a request that is told again deep inside of itself had two SERVER spans', () => {
  const own = tracer()
  const record: RequestRecord = { ref: PARENT_REF, method: 'GET', startedAt: 0, promised: 0, ended: false }
  const inRequest = inParent.setValue(REQUEST_KEY, record)
  const page = own.startSpan('page', {}, inRequest)
  const within = trace.setSpan(inRequest, page)
  expect(ended(own.startSpan('GET', { kind: SpanKind.SERVER }, within)).kind).toBe(SpanKind.INTERNAL + 1)
  record.ended = true
  expect(ended(own.startSpan('GET', { kind: SpanKind.SERVER }, within)).kind).toBe(SpanKind.SERVER + 1)
})

test('startActiveSpan takes its function first, second or third, and gives back what it returns', () => {
  const own = tracer()
  expect(own.startActiveSpan('a', (span) => ended(span).name)).toBe('a')
  expect(own.startActiveSpan('b', { kind: SpanKind.SERVER }, (span) => ended(span).kind)).toBe(2)
  expect(own.startActiveSpan('c', {}, inParent, (span) => ended(span).parentSpanId)).toBe(PARENT.spanId)
  expect(context.active()).toBe(ROOT_CONTEXT)
})

describe('below a span of our own', () => {
  test.for([
    ['parentbased_always_on', 1, 1],
    ['parentbased_always_on', 0, 0],
    ['parentbased_always_off', 1, 1],
    ['parentbased_always_off', 0, 0],
    ['parentbased_traceidratio', 1, 1],
    ['parentbased_traceidratio', 0, 0],
    ['always_off', 1, 0],
    ['always_on', 0, 1],
  ] as const)('%s with the flag %i says %i, as below any other', ([name, flag, expected]) => {
    const above = tracer(sampled(flag ? {} : { decision: SamplingDecision.RECORD })).startSpan('GET', {}, inParent)
    const flagOf = (parent: Context): number =>
      tracer(createSampler(name, 0.5)).startSpan('SELECT', {}, parent).spanContext().traceFlags
    expect(flagOf(trace.setSpan(ROOT_CONTEXT, above))).toBe(expected)
    expect(flagOf(trace.setSpanContext(ROOT_CONTEXT, above.spanContext()))).toBe(expected)
  })
})
