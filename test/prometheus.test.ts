import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { connect } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import {
  get,
  pollUntil,
  present,
  repositoryRoot,
  service,
  startPreloaded,
  type MissingServer,
  type ServerOf,
} from '@afterspan/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'

const run = promisify(execFile)

let prometheus: ServerOf['prometheus'] | MissingServer
let app: ReturnType<typeof startPreloaded>
let admin: string
/** An app whose own metrics are everything that is allowed, and more. */
let meters: ReturnType<typeof startPreloaded>
let metersAdmin: string
beforeAll(async () => {
  const api = createRequire(join(repositoryRoot(), 'packages/core/package.json')).resolve('@opentelemetry/api')
  meters = startPreloaded({ app: appFile('meters.cjs'), env: { OTEL_API: api } })
  const url = await listening(meters)
  for (let i = 0; i < 60; i++) await get(`${url}/made-up/${i}/${'x'.repeat(i)}`)
  for (const method of ['PROPFIND', 'MKCOL', 'PURGE', 'M-SEARCH']) await get(url, { method })
  metersAdmin = await meters.adminUrl()
  app = startPreloaded({ app: appFile('express.cjs') })
  await listening(app).then((url) => get(`${url}/api/a/orders/1`))
  admin = await app.adminUrl()
  prometheus = await service('prometheus', { targets: [new URL(admin).host, new URL(metersAdmin).host] })
})
afterAll(async () => {
  await app.stop()
  await meters.stop()
  if (!('missing' in prometheus)) await prometheus.stop()
})

test('a real Prometheus scrapes it and finds the numbers', async (context) => {
  const { url } = present(prometheus, context)
  const query = encodeURIComponent('http_server_request_duration_seconds_count{http_route="/api/:tenant/orders/:id"}')
  const value = await pollUntil(async () => {
    const { data } = JSON.parse((await get(`${url}/api/v1/query?query=${query}`)).text) as {
      data: { result: { value: [number, string] }[] }
    }
    return data.result[0]?.value[1]
  })
  expect(value).toBe('1')
})

test('promtool finds nothing wrong with the text format', async (context) => {
  const found = present(prometheus, context)
  const { text, headers } = await get(`${admin}/metrics`, { headers: { accept: 'text/plain;version=0.0.4' } })
  expect(headers['content-type']).toContain('text/plain')
  const child = execFile(found.promtool, ['check', 'metrics'])
  child.stdin!.end(text)
  let output = ''
  for (const stream of [child.stdout!, child.stderr!])
    stream.on('data', (chunk: string) => {
      output += chunk
    })
  const code = await new Promise((resolve) => child.once('close', resolve))
  expect({ code, output }).toEqual({ code: 0, output: '' })
})

const OPEN_METRICS = { headers: { accept: 'application/openmetrics-text; version=1.0.0' } }

test('OpenMetrics has its end, and each bucket and counter of requests the trace of its newest one', async () => {
  const url = await listening(app)
  const trace = traceIdOf(await get(`${url}/api/a/orders/2`))
  const text = await pollUntil(async () => {
    const answer = await get(`${admin}/metrics`, OPEN_METRICS)
    expect(answer.headers['content-type']).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8')
    return answer.text.includes(`outcome="kept"} 2 # {`) ? answer.text : undefined
  })
  expect(text.endsWith('\n# EOF\n')).toBe(true)
  const exemplars = text.split('\n').filter((line) => line.includes(` # {`) && line.includes(`trace_id="${trace}"`))
  expect(exemplars.map((line) => line.split(/[ {]/)[0])).toEqual([
    'afterspan_requests_effective_total',
    'http_server_request_duration_seconds_bucket',
  ])
})

test('a check by HTTP/1.0, which names no host, was misdirected', async () => {
  const socket = connect(Number(new URL(admin).port), '127.0.0.1')
  socket.setEncoding('utf8').write('GET /livez HTTP/1.0\r\n\r\n')
  let answer = ''
  for await (const chunk of socket) answer += chunk as string
  expect(answer).toMatch(/^HTTP\/1.1 200 OK\r\n/)
})

test('gzip is given where it is asked for, and not where it is refused', async () => {
  const encoding = async (accepted: string): Promise<string | undefined> =>
    (await fetch(`${admin}/metrics`, { headers: { 'accept-encoding': accepted } })).headers.get('content-encoding') ??
    undefined
  expect([
    await encoding('gzip'),
    await encoding('gzip;q=0'),
    await encoding('gzip;q=0.1, identity'),
    await encoding('br'),
  ]).toEqual(['gzip', undefined, undefined, undefined])
})

test("a real Prometheus takes every name, unit, attribute and value of the app's own metrics, as OpenMetrics", async (context) => {
  const { url } = present(prometheus, context)
  const instance = new URL(metersAdmin).host
  const value = (query: string): Promise<string> =>
    pollUntil(async () => {
      const { data } = JSON.parse((await get(`${url}/api/v1/query?query=${encodeURIComponent(query)}`)).text) as {
        data: { result: { value: [number, string] }[] }
      }
      return data.result[0]?.value[1]
    })
  expect(await value(`up{instance="${instance}"} == 1`)).toBe('1')
  expect(await value(`orders_placed_total{instance="${instance}"}`)).toBe('3')
  expect(await value(`a_b_total{x_y="0;1;2",otel_scope_name="app"}`)).toBe('3')
  expect(await value(`a_b_total{otel_scope_name="other"}`)).toBe('5')
  expect(await value(`count(lat_milliseconds_count)`)).toBe('2')
})

test("a bucket of the app's own histogram has the trace of the newest request that was measured", async () => {
  const { text } = await get(`${metersAdmin}/metrics`, OPEN_METRICS)
  const buckets = text.split('\n').filter((line) => line.startsWith('waited_seconds_bucket'))
  const labels = 'of="a request",otel_scope_name="app",otel_scope_version="1.0",'
  const told = buckets.map((line) =>
    line
      .replace(labels, '')
      .replaceAll(/[0-9a-f]{16,32}/g, 'id')
      .replace(/ [0-9]+\.[0-9]+$/, ' at'),
  )
  expect(told).toMatchInlineSnapshot(`
    [
      "waited_seconds_bucket{le="1.0"} 0",
      "waited_seconds_bucket{le="10.0"} 64 # {span_id="id",trace_id="id"} 2 at",
      "waited_seconds_bucket{le="+Inf"} 64",
    ]
  `)
})

test('a callback that throws or hangs, a value, an attribute or a name that cannot be kept, cost only their own series', async () => {
  const { text } = await get(`${metersAdmin}/metrics`)
  const scope = 'otel_scope_name="app",otel_scope_version="1.0"'
  expect(text).toContain(`\nfine{${scope}} 7\n`)
  expect(text).toContain(`\nspoiled_total{${scope}} 1\n`)
  expect(text).toContain(`\nundefined_total{${scope}} 1\n`)
  expect(text).toContain(`\nnull{${scope}} 1\n`)
  expect(text).toContain('afterspan_measurements_refused_total{reason="refused"} 4')
  // Bounds that come twice, or are none, made series that no strict parser takes.
  expect([...text.matchAll(/^bounds_bucket\{.*le="(.*)"\}/gm)].map(([, le]) => le)).toEqual(['1', '2', '+Inf'])
  expect(text).toContain('afterspan_metrics_left_out{reason="name_conflict"} 1')
  expect(text).not.toMatch(/^(throws|hangs)/m)
  // Said once for each reason, however often it is scraped.
  const said = meters.stderr.split('\n').filter((line) => line.includes('AFS_METRIC_REFUSED'))
  expect(said.length).toBe(3)
})

test('made-up users, paths and methods stay in bounds, and nothing of them is lost from the sum', async () => {
  const { text } = await get(`${metersAdmin}/metrics`)
  const series = (name: string): string[] => text.split('\n').filter((line) => line.startsWith(name))
  const users = series('users_total')
  expect(users.length).toBeLessThanOrEqual(2000)
  expect(users.filter((line) => line.includes('otel_metric_overflow="true"')).length).toBe(1)
  expect(users.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)).toBe(10_000)
  const requests = series('http_server_request_duration_seconds_count')
  expect(requests.length).toBeLessThanOrEqual(102) // of the paths at most a hundred inferred routes
  const methods = requests.map((line) => /http_request_method="([^"]*)"/.exec(line)?.[1] ?? '')
  expect([...new Set(methods)].toSorted()).toEqual(['GET', '_OTHER'])
})

test('the runtime by semantic conventions: a loop that stood still, collections by kind, heap spaces, memory, CPU, descriptors', async () => {
  const url = await listening(meters)
  const value = (text: string, series: string): number =>
    Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${series} `) || line.startsWith(`${series}{`))
        ?.split(' ')
        .at(-1),
    )
  const before = (await get(`${metersAdmin}/metrics`)).text // what is watched all the time is watched from now on
  const text = await pollUntil(async () => {
    await get(`${url}/block`)
    const answer = (await get(`${metersAdmin}/metrics`)).text
    return (
      value(answer, 'nodejs_eventloop_delay_max_seconds') > 0.2 && answer.includes('v8js_gc_type="minor"') && answer
    )
  })
  expect(value(text, 'nodejs_eventloop_utilization_ratio')).toBeGreaterThan(0)
  expect(value(text, 'nodejs_eventloop_time_seconds_total')).toBeGreaterThan(
    value(before, 'nodejs_eventloop_time_seconds_total'),
  )
  expect(value(text, 'process_cpu_seconds_total')).toBeGreaterThan(0.2)
  for (const series of [
    'v8js_memory_heap_limit_bytes',
    'v8js_memory_heap_used_bytes{v8js_heap_space_name="old_space"}',
    'v8js_memory_heap_space_size_bytes{v8js_heap_space_name="new_space"}',
    'process_memory_usage_bytes',
    'process_resident_memory_bytes',
    'process_open_fds',
    'process_uptime_seconds',
    'v8js_resource_active{v8js_resource_type="TCPServerWrap"}',
    `nodejs_version_info{version="${process.version}"}`,
  ])
    expect([series, value(text, series) > 0]).toEqual([series, true])
  expect(value(text, 'process_open_fds')).toBeGreaterThan(3)
})

test('the alert rules hold what their tests say', async (context) => {
  const { promtool } = present(prometheus, context)
  const { stdout } = await run(promtool, ['test', 'rules', 'afterspan.rules.test.yml'], {
    cwd: join(repositoryRoot(), 'docs/prometheus'),
  })
  expect(stdout).toContain('SUCCESS')
})
