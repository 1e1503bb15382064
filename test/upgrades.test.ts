// A handshake is a request until it is answered: WebSockets and tunnels had no span, and nobody was named when they threw.
import { connect, type Socket } from 'node:net'
import { get, nodesUnderTest, runApp, startPreloaded, type RunningApp } from '@afterspan/testing'
import { drawTrace, startOtlpSink, type OtlpSink, type StoredSpan } from 'afterspan/internal'
import { expect, test } from 'vitest'
import { appFile, listening } from './app.ts'

const APP = appFile('upgrades.cjs')
const SHOWN = ['http.response.status_code', 'afterspan.http.aborted_by', 'afterspan.http.inferred_route']
const OURS = /^traceresponse: 00-[0-9a-f]{32}-[0-9a-f]{16}-01\r\nserver-timing: traceparent;desc="00-[^"]+"\r\n/m
/** Without the frames of a listener that knows whose it is: those of requests stand on the stack too. */
function frames(stderr: string): string {
  return stderr.replace(/^ +at .*(?:node:(?:internal|async_hooks|events)|bundle[/\\]preload\.js).*\n/gm, '')
}

test.each(nodesUnderTest())(
  'a handshake made no span, and what its connection threw was nobody’s: Node $major',
  async (node) => {
    const sink = await startOtlpSink()
    const env = { OTEL_SERVICE_NAME: 'chat', OTEL_BSP_SCHEDULE_DELAY: '5' }
    const service = startPreloaded({ app: APP, node: node.path, sink, env })
    const bare = runApp({ args: [APP], node: node.path })
    const ports = [await portOf(service), await portOf(bare)] as const

    expect(service.stdout).toMatch(/^its own listener: true\ntaken away: true\n/)

    // Byte for byte what the app writes, but for the name of the trace.
    for (const path of ['/chat', '/bytes', '/refused', '/breaks', 'CONNECT']) {
      const [ours, plain] = await Promise.all(ports.map((port) => talk(port, path)))
      expect([path, ours!.replace(OURS, '')]).toEqual([path, plain])
      expect([path, OURS.test(ours!)]).toEqual([path, path === '/chat'])
    }
    expect(await draw(sink, '/chat')).toBe(
      '· GET  SERVER chat\n  http.response.status_code=101 afterspan.http.inferred_route=/chat',
    )
    expect(await draw(sink, '/refused')).toBe('· GET  SERVER chat\n  http.response.status_code=401')
    expect(await draw(sink, '/breaks')).toBe(
      '✗ GET  SERVER chat\n  aborted_by_server\n  afterspan.http.aborted_by=server',
    )
    expect(await draw(sink, '')).toBe('· CONNECT  SERVER chat\n  http.response.status_code=200')

    const talking = open(ports[0], '/talk')
    await talking.until(/\r\n\r\n/)
    const text = (await get(`${await service.adminUrl()}/metrics`)).text
    expect(text).toMatch(/^http_server_active_requests{http_request_method="GET",url_scheme="http"} 0$/m)
    expect(text).toMatch(/^http_server_request_duration_seconds_count{[^}]*http_response_status_code="101"[^}]*} /m)
    // What a message does is no part of the handshake: a connection may last for days.
    talking.socket.write('hi')
    await talking.until(/echo hi/)
    await sink.waitFor((spans) => spans.some(({ kind }) => kind === 'client'))
    const handshake = sink.spans().find(at('/talk'))!
    expect(sink.trace(handshake.traceId)).toEqual([handshake])
    expect(sink.spans().find(at('/other'))!.traceId).toBe(sink.spans().find(({ kind }) => kind === 'client')!.traceId)

    // What it throws ends the app as without us, and is told of the handshake.
    const other = open(ports[1], '/talk')
    await other.until(/\r\n\r\n/)
    for (const { socket } of [talking, other]) socket.write('throw')
    expect(await service.exit).toEqual(await bare.exit)
    expect(frames(service.stderr)).toBe(frames(bare.stderr))
    const next = startPreloaded({ app: APP, node: node.path, sink, env, ledgerDir: service.ledgerDir })
    await get(await listening(next))
    await sink.waitFor((spans) => spans.some(({ name }) => name === 'uncaughtException'), 60_000)
    expect(sink.spans().find(({ name }) => name === 'uncaughtException')).toMatchObject({
      traceId: handshake.traceId,
      parentSpanId: handshake.spanId,
      status: { code: 'error', message: 'no such message' },
    })
    await next.stop()
    await sink.close()
  },
)

async function portOf(app: RunningApp): Promise<number> {
  return Number(new URL(await listening(app)).port)
}

const at = (path: string) => (span: StoredSpan) => span.attributes['url.path'] === path

async function draw(sink: OtlpSink, path: string): Promise<string> {
  await sink.waitFor((spans) => spans.some(at(path)))
  return drawTrace([sink.spans().find(at(path))!], { stable: true, attributes: SHOWN })
}

/** All that comes until the connection ends; what is upgraded is told to end. */
async function talk(port: number, path: string): Promise<string> {
  const { socket, until } = open(port, path)
  socket.on('data', (chunk: string) => {
    if (chunk.includes(' 101 ')) socket.write('bye')
  })
  return until(/<closed>$/)
}

function open(port: number, path: string): { socket: Socket; until(pattern: RegExp): Promise<string> } {
  let text = ''
  const wake = new Set<() => void>()
  const add = (more: string): void => {
    text += more
    for (const look of wake) look()
  }
  const first = path === 'CONNECT' ? 'CONNECT shop.example:443' : `GET ${path}`
  const socket = connect(port, '127.0.0.1', () =>
    socket.write(`${first} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n`),
  )
  socket.setEncoding('latin1').on('data', (chunk) => add(String(chunk)))
  socket.on('error', () => {}).on('close', () => add('<closed>'))
  return {
    socket,
    until: (pattern) =>
      new Promise((resolve, reject) => {
        const deadline = setTimeout(() => reject(new Error(`${path}: ${text}`)), 20_000)
        const look = (): void => {
          if (!pattern.test(text)) return
          clearTimeout(deadline)
          wake.delete(look)
          resolve(text)
        }
        wake.add(look)
        look()
      }),
  }
}
