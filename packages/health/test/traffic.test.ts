import { ROOT_CONTEXT, SpanKind, type Attributes } from '@opentelemetry/api'
import type { EpochMs, RequestRecord, SpanData } from '@afterspan/core/internal'
import { beforeEach, expect, test } from 'vitest'
import { REQUEST_KEY } from '../../core/src/http/request-record.ts'
import { Traffic } from '../src/traffic.ts'

const PG = { 'db.system.name': 'postgresql' }
let now: number
let ids: number
let traffic: Traffic

beforeEach(() => {
  now = 100_000
  ids = 0
  traffic = new Traffic(() => now as EpochMs)
})

interface Made {
  readonly end: (error?: { readonly type?: string; readonly message?: string }) => void
  readonly requestSpan: string
}

function call(attributes: Attributes, route?: string, request = `r${++ids}`): Made {
  const context = { traceId: `t-${request}`, spanId: `s${++ids}` }
  const record = { ref: { traceId: `t-${request}`, spanId: request, sampled: true }, route } as RequestRecord
  const span = { kind: SpanKind.CLIENT, attributes, spanContext: () => context }
  const parent = route === undefined ? ROOT_CONTEXT : ROOT_CONTEXT.setValue(REQUEST_KEY, record)
  const mark = traffic.onStart(span as never, parent)
  return {
    requestSpan: route === undefined ? context.spanId : request,
    end: (error) =>
      traffic.onEnd(
        {
          ...context,
          attributes: { ...attributes, ...(error?.type ? { 'error.type': error.type } : {}) },
          endMs: now,
          ...(error ? { status: { code: 2, message: error.message } } : {}),
        } as unknown as SpanData,
        { name: 'pg' },
        mark,
      ),
  }
}

const bad = (code = 'timeout', since: number | undefined = 99_000) =>
  traffic.evidence({ component: 'postgresql', isGood: false, code, since: since as EpochMs | undefined })

test('requests that failed come before requests that wait, the newest first, each once', () => {
  const first = call(PG, '/a')
  first.end({ type: 'ECONNREFUSED' })
  const second = call(PG, '/b', 'same')
  const again = call(PG, '/b', 'same')
  second.end({ type: '57P01' })
  again.end({ type: '57P01' })
  const waits = call(PG, '/c')
  now += 700
  expect(bad()).toEqual([
    { trace: { traceId: 't-same', spanId: 'same', sampled: true }, route: '/b', error: '57P01' },
    expect.objectContaining({ trace: expect.objectContaining({ spanId: first.requestSpan }), error: 'ECONNREFUSED' }),
    expect.objectContaining({ trace: expect.objectContaining({ spanId: waits.requestSpan }), waitingMs: 700 }),
  ])
})

test('a statement that is wrong says nothing of the server, unless it is what the probe found', () => {
  call(PG, '/a').end({ type: '23505' })
  call(PG, '/a').end({ type: '25006' })
  call({ 'db.system.name': 'redis' }, '/a').end({ message: 'WRONGTYPE Operation against a key' })
  expect(bad()).toEqual([])
  expect(bad('25006')).toMatchObject([{ error: '25006' }])
  expect(traffic.evidence({ component: 'redis', isGood: false, code: 'timeout', since: undefined })).toEqual([])
})

test('what happened before the check was last well explains nothing', () => {
  call(PG, '/old').end({ type: 'ECONNREFUSED' })
  call(PG, '/hangs-for-ever')
  now += 60_000
  expect(bad('timeout', now - 2000)).toEqual([])
})

test('a call of another kind of server is none of its evidence', () => {
  call({ 'db.system.name': 'redis' }, '/a').end({ type: 'ECONNREFUSED' })
  call({ 'http.request.method': 'GET' }, '/a')
  now += 1000
  expect(bad()).toEqual([])
})

test('work without a request is named by its own span', () => {
  const job = call(PG)
  job.end({ type: 'ECONNREFUSED' })
  expect(bad()).toEqual([{ trace: expect.objectContaining({ spanId: job.requestSpan }), error: 'ECONNREFUSED' }])
})

test('the end of a trouble is shown by the last call that went well', () => {
  const good = (since: number) =>
    traffic.evidence({ component: 'postgresql', isGood: true, code: undefined, since: since as EpochMs })
  expect(good(now)).toEqual([])
  const call1 = call(PG, '/a')
  call1.end()
  expect(good(now)).toMatchObject([{ trace: { spanId: call1.requestSpan }, route: '/a' }])
  expect(good(now + 60_000)).toEqual([])
})

test('nothing grows without bound', () => {
  for (let i = 0; i < 10_000; i++) call(PG, '/hangs')
  for (let i = 0; i < 1000; i++) call({ 'db.system.name': `system-${i}` }, '/a').end({ type: 'ECONNREFUSED' })
  for (let i = 0; i < 1000; i++) call(PG, '/a').end({ type: 'ECONNREFUSED' })
  now += 1000
  expect(bad()).toHaveLength(8)
})

test('calls that go well say so, until one fails by the server, one waits, or all is silent', () => {
  const isWell = () => traffic.isWell('postgresql', 2000)
  expect(isWell()).toBe(false)
  call(PG, '/a').end()
  expect(isWell()).toBe(true)
  call(PG, '/a').end({ type: '23505' })
  expect(isWell()).toBe(true)
  const waits = call(PG, '/a')
  now += 300
  expect(isWell()).toBe(false)
  waits.end()
  expect(isWell()).toBe(true)
  call(PG, '/a').end({ type: '25006' })
  expect(isWell()).toBe(false)
  now += 2001
  expect(isWell()).toBe(false)
  call(PG, '/a').end()
  expect(isWell()).toBe(true)
  expect(traffic.isWell('redis', 2000)).toBe(false)
})

test('a call that fails by what may be the server’s is told at once', () => {
  const told: string[] = []
  traffic = new Traffic(
    () => now as EpochMs,
    (component) => told.push(component),
  )
  call(PG, '/a').end()
  call(PG, '/a').end({ type: '23505' })
  call({ 'db.system.name': 'redis' }, '/a').end({ message: 'WRONGTYPE Operation against a key' })
  call({ 'db.system.name': 'mongodb' }, '/a').end({ message: 'E11000 duplicate key error collection: shop.orders' })
  expect(told).toEqual([])
  call(PG, '/a').end({ type: 'ECONNREFUSED' })
  call(PG, '/a').end({ type: '25006' })
  call({ 'db.system.name': 'redis' }, '/a').end({ message: "READONLY You can't write against a read only replica." })
  expect(told).toEqual(['postgresql', 'postgresql', 'redis'])
})

test('what a server refuses although it answers is told until the same statement goes well, or for half a minute', () => {
  const insert = { ...PG, 'db.query.text': 'INSERT' }
  const refused = (code: string): void => call(insert, '/a').end({ type: code })
  refused('23505')
  expect(traffic.refusal('postgresql')).toBeUndefined()
  refused('53100')
  refused('53100')
  refused('42501')
  call({ ...PG, 'db.query.text': 'SELECT' }, '/b').end()
  expect(traffic.refusal('postgresql')).toEqual({ code: '53100', count: 2 })
  expect(traffic.refusal('redis')).toBeUndefined()
  call(insert, '/a').end()
  expect(traffic.refusal('postgresql')).toBeUndefined()
  refused('42501')
  now += 29_999
  expect(traffic.refusal('postgresql')).toEqual({ code: '42501', count: 1 })
  now += 1
  expect(traffic.refusal('postgresql')).toBeUndefined()
})

test('so it is where a client without spans tells of it, and what is the statement’s own fault makes nobody look', () => {
  const told: string[] = []
  const own = new Traffic(
    () => now as EpochMs,
    (component) => told.push(component),
  )
  const news = own.refusals('mysql')
  expect(news.isAwaited()).toBe(false)
  news.refused('23505', 'INSERT')
  expect([news.isAwaited(), told]).toEqual([false, []])
  for (let i = 0; i < 2; i++) news.refused('disk_full', 'INSERT')
  news.refused('40001', 'INSERT')
  news.wentWell('SELECT')
  expect(own.refusal('mysql')).toEqual({ code: 'disk_full', count: 2 })
  expect([news.isAwaited(), told]).toEqual([true, ['mysql', 'mysql']])
  news.wentWell('INSERT')
  expect([news.isAwaited(), own.refusal('mysql')]).toEqual([false, undefined])
})
