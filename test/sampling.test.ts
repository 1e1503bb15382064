// What the head sampler decides, and what it cannot: no failure is sampled out.
import { get, startPreloaded, type PreloadedApp } from '@afterspan/testing'
import { drawTrace, startOtlpSink, type OtlpSink, type StoredSpan } from 'afterspan/internal'
import { expect, test } from 'vitest'
import { appFile, listening } from './app.ts'

const APP = appFile('sampling.cjs')
const TRACE = 'ab'.repeat(16)
const UNSAMPLED = `00-${TRACE}-${'cd'.repeat(8)}-00`
const SAMPLED = `00-${TRACE}-${'cd'.repeat(8)}-01`

async function start(env: Record<string, string>): Promise<{ app: PreloadedApp; sink: OtlpSink; url: string }> {
  const sink = await startOtlpSink()
  const app = startPreloaded({
    app: APP,
    sink,
    env: { OTEL_BSP_SCHEDULE_DELAY: '20', AFTERSPAN_EXIT_HOLD_MS: '5000', ...env },
  })
  return { app, sink, url: await listening(app) }
}
function of(sink: OtlpSink, path: string): StoredSpan | undefined {
  return sink.spans().find(({ kind, attributes }) => kind === 'server' && attributes['url.path'] === path)
}

const SAMPLERS: readonly (readonly [Record<string, string>, Record<string, string>])[] = [
  [{ OTEL_TRACES_SAMPLER: 'always_off' }, {}],
  [{ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0' }, {}],
  [{ OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0' }, {}],
  [{ OTEL_TRACES_SAMPLER: 'parentbased_always_on' }, { traceparent: UNSAMPLED }],
]
test.each(SAMPLERS)(
  'with %o, a request with %o is told when it, or its work, fails, and not when it goes well',
  async (env, headers) => {
    const { app, sink, url } = await start(env)
    for (const path of ['/well', '/fail', '/late', '/call']) await get(url + path, { headers })
    await sink.waitFor(
      (spans) =>
        ['/late', '/call'].every((path) => of(sink, path)) &&
        spans.some(({ name }) => name === 'late work') &&
        spans.some(({ kind }) => kind === 'client'),
    )
    const late = sink.spans().find(({ name }) => name === 'late work')!
    expect(late.status).toEqual({ code: 'error', message: 'the work failed' })
    expect(late.traceId).toBe(of(sink, '/late')!.traceId)
    const call = sink.spans().find(({ kind }) => kind === 'client')!
    expect(call.traceId).toBe(of(sink, '/call')!.traceId)
    expect(call.attributes).toMatchObject({ 'error.type': 'ECONNREFUSED', 'afterspan.task.state': 'failed' })
    expect(of(sink, '/fail')!.attributes['http.response.status_code']).toBe(500)
    get(`${url}/crash`, { headers }).catch(() => {})
    expect(await app.exit).toEqual({ code: 1, signal: null })
    expect(of(sink, '/crash')!.attributes).toMatchObject({
      'error.type': 'RangeError',
      'afterspan.crash.role': 'culprit',
    })
    expect(of(sink, '/well')).toBeUndefined()
    await sink.close()
  },
)

test('a request that fails is told with what was done for it, though nobody sampled it', async () => {
  const { app, sink, url } = await start({ OTEL_SERVICE_NAME: 'shop', OTEL_TRACES_SAMPLER: 'always_off' })
  await get(`${url}/calls-well`)
  await get(`${url}/calls-fail`)
  await sink.waitFor((spans) => spans.filter(({ kind }) => kind === 'client').length === 2)
  const { traceId } = of(sink, '/calls-fail')!
  const attributes = ['url.path', 'http.response.status_code', 'error.type']
  expect(drawTrace(sink.trace(traceId), { stable: true, attributes })).toMatchInlineSnapshot(`
    "✗ GET  SERVER shop
    │ 503
    │ url.path=/calls-fail http.response.status_code=503 error.type=503
    ├─ · GET  CLIENT
    │    http.response.status_code=200
    └─ ✗ GET  CLIENT
         ECONNREFUSED: connect ECONNREFUSED 127.0.0.1:*
         error.type=ECONNREFUSED"
  `)
  // Nothing of the one that went well, though a call of its own failed.
  expect(new Set(sink.spans().map((span) => span.traceId))).toEqual(new Set([traceId]))
  await app.stop()
  await sink.close()
})

test('the rest follows the ratio', async () => {
  const { app, sink, url } = await start({ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.5' })
  const kept = `00-${'00'.repeat(15)}01-${'cd'.repeat(8)}-00`
  const left = `00-ffffffff${'00'.repeat(12)}-${'cd'.repeat(8)}-01`
  await get(`${url}/left`, { headers: { traceparent: left } })
  await get(`${url}/kept`, { headers: { traceparent: kept } })
  await sink.waitFor(() => of(sink, '/kept') !== undefined)
  expect(of(sink, '/left')).toBeUndefined()
  await app.stop()
  await sink.close()
})

test('a peer that is not trusted can neither hide a request nor write into the trace of another', async () => {
  const { app, sink, url } = await start({ AFTERSPAN_INBOUND_TRACE: '127.0.0.0/8=link,*=continue' })
  for (const [path, traceparent] of [
    ['/hidden', UNSAMPLED],
    ['/forged', SAMPLED],
  ] as const)
    await get(url + path, { headers: { traceparent } })
  await sink.waitFor(() => of(sink, '/hidden') !== undefined && of(sink, '/forged') !== undefined)
  for (const path of ['/hidden', '/forged']) {
    const span = of(sink, path)!
    expect(span.traceId).not.toBe(TRACE)
    expect(span.parentSpanId).toBeUndefined()
    expect(span.links.map((link) => link.traceId)).toEqual([TRACE])
  }
  await app.stop()
  await sink.close()
})

test.each([
  ['private=continue,*=link', TRACE],
  ['continue', TRACE],
  ['ignore', undefined],
])('with AFTERSPAN_INBOUND_TRACE=%s a caller on this host has its trace continued, or not', async (policy, trace) => {
  const { app, sink, url } = await start({ AFTERSPAN_INBOUND_TRACE: policy })
  await get(`${url}/one`, { headers: { traceparent: SAMPLED } })
  await sink.waitFor(() => of(sink, '/one') !== undefined)
  const { traceId, links } = of(sink, '/one')!
  expect(traceId === TRACE).toBe(trace === TRACE)
  expect(links).toEqual([])
  await app.stop()
  await sink.close()
})
