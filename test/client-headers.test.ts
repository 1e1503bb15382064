// A call carries the trace context of its span, once, however the app gives its headers.
import { get, nodesUnderTest, startPreloaded } from '@afterspan/testing'
import { startOtlpSink, type OtlpSink } from 'afterspan/internal'
import { expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'

const BAD_BAGGAGE = ['bad-baggage', 'bad-baggage-flat', 'bad-baggage-fetch']
const WAYS = [
  'object',
  'own-object',
  'flat',
  'own-flat',
  'expects',
  'fetch',
  'own-fetch',
  'own-headers',
  ...BAD_BAGGAGE,
]

test.each(nodesUnderTest())(
  'a list of headers carried no trace context, and a fetch with one of its own two: Node $major',
  async (node) => {
    const sink = await startOtlpSink()
    const env = { OTEL_SERVICE_NAME: 'shop', OTEL_BSP_SCHEDULE_DELAY: '5' }
    const service = startPreloaded({ app: appFile('client-headers.cjs'), node: node.path, sink, env })
    const url = await listening(service)
    const calls = new Map<string, Call>()
    for (const way of WAYS) calls.set(way, await callBy(way, url, sink))

    const carried = WAYS.map((way) => [way, calls.get(way)!.headers['traceparent']])
    expect(carried).toEqual(WAYS.map((way) => [way, calls.get(way)!.own]))
    // What else the app says stays, but for the state of a trace that is not the one.
    const { baggage, tracestate, 'x-a': other } = calls.get('own-fetch')!.headers
    expect({ baggage, tracestate, other }).toEqual({ baggage: 'c=d', tracestate: undefined, other: '1' })
    const { headers, full } = calls.get('flat')!
    // A Host header of the app's own is not where the call went: a reverse proxy sends on what it got.
    const port = String(headers['host']).split(':')[1]!
    expect({ full, other: headers['x-a'] }).toEqual({ full: `http://localhost:${port}/`, other: '1' })
    const foreign = await callBy('foreign-host', url, sink)
    expect([foreign.full, foreign.port]).toEqual([`http://localhost:${port}/a?token=REDACTED`, Number(port)])
    const refused = await callBy('foreign-refused', url, sink)
    expect([refused.full, refused.port]).toEqual(['http://127.0.0.1:9/', 9])
    // Baggage that is no header ended the process in a fetch, and was a header of its own in a list.
    const split = BAD_BAGGAGE.map((way) => calls.get(way)!.headers)
    expect(split.map((each) => [each['x-a'], each['x-evil'], each['baggage']])).toEqual(
      BAD_BAGGAGE.map(() => ['1', undefined, undefined]),
    )
    // The secrets of a query were in the span of a fetch, though not in that of a call of node:http.
    const secret = await callBy('fetch-secret', url, sink)
    expect(secret.full).toBe(`http://${secret.headers['host']}/?api_key=REDACTED&page=2`)
    const proxied = await callBy('proxied', url, sink)
    expect(proxied.full).toBe('http://shop.example:81/a?token=REDACTED&page=2')
    const told = JSON.stringify(sink.spans().map(({ attributes }) => attributes))
    expect(told).not.toContain('hidden')
    await service.stop()
    await sink.close()
  },
)

interface Call {
  /** As the server got them; several of one name in one text. */
  readonly headers: Readonly<Record<string, string | undefined>>
  /** What names the span of the call. */
  readonly own: string
  readonly full: unknown
  readonly port: unknown
}

async function callBy(way: string, url: string, sink: OtlpSink): Promise<Call> {
  const reply = await get(`${url}/${way}`)
  const traceId = traceIdOf(reply)
  const find = () => sink.trace(traceId).find(({ kind }) => kind === 'client')
  await sink.waitFor(() => find() !== undefined)
  const { attributes, spanId } = find()!
  const raw = JSON.parse(reply.text) as readonly string[]
  const headers: Record<string, string> = {}
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at]!.toLowerCase()
    headers[name] = name in headers ? `${headers[name]}, ${raw[at + 1]}` : raw[at + 1]!
  }
  return { headers, own: `00-${traceId}-${spanId}-01`, full: attributes['url.full'], port: attributes['server.port'] }
}
