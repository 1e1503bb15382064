// The collector is behind a proxy that Node was told to use.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { connect, type AddressInfo, type Server, type Socket } from 'node:net'
import { get, nodesUnderTest, startPreloaded } from '@afterspan/testing'
import { startOtlpSink, type OtlpSink } from 'afterspan/internal'
import { afterEach, describe, expect, test } from 'vitest'
import { appFile, listening } from './app.ts'

const APP = appFile('ends-itself.cjs')
const [CERT, KEY] = ['cert', 'key'].map((kind) => appFile(`certificates/self-signed.${kind}.pem`)) as [string, string]

const opened: Server[] = []
const sockets = new Set<Socket>()
afterEach(() => {
  for (const server of opened.splice(0)) server.close()
  for (const socket of sockets) socket.destroy()
})

async function open<S extends Server>(server: S): Promise<S> {
  server.on('connection', (socket: Socket) => sockets.add(socket))
  opened.push(server.listen(0, '127.0.0.1'))
  await once(server, 'listening')
  return server
}
function portOf(server: Server): number {
  return (server.address() as AddressInfo).port
}
/** By way of a proxy, which is told to the app as Node has it. */
function through(proxy: Server): Record<string, string> {
  const address = `http://127.0.0.1:${portOf(proxy)}`
  return { NODE_USE_ENV_PROXY: '1', HTTP_PROXY: address, HTTPS_PROXY: address, OTEL_BSP_SCHEDULE_DELAY: '20' }
}
function hasPath(sink: OtlpSink, path: string): boolean {
  return sink.spans().some(({ attributes }) => attributes['url.path'] === path)
}

describe.each(nodesUnderTest())('on Node $major', (node) => {
  test('spans never left a network that is left by a proxy alone', async () => {
    const sink = await startOtlpSink()
    const proxy = createServer((request, response) => {
      expect(request.url).toBe('http://collector.test:4318/v1/traces')
      void forward(request, sink.url).then((status) => response.writeHead(status).end())
    })
    await open(proxy)
    const app = startPreloaded({
      app: APP,
      node: node.path,
      sink: { url: 'http://collector.test:4318' },
      env: through(proxy),
    })
    await get(`${await listening(app)}/hello`)
    await sink.waitFor(() => hasPath(sink, '/hello'))
    await app.stop()
    await sink.close()
  })

  test('the same where the collector is asked by TLS', async () => {
    const asked: string[] = []
    const pem = { cert: readFileSync(CERT), key: readFileSync(KEY) }
    const collector = await open(createTlsServer(pem, (_, response) => response.end()))
    const came = once(collector, 'request') as Promise<[IncomingMessage]>
    const proxy = createServer().on('connect', ({ url = '' }: IncomingMessage, client: Socket) => {
      asked.push(url)
      const tunnel = connect(portOf(collector), '127.0.0.1', () => client.write('HTTP/1.1 200 OK\r\n\r\n'))
      tunnel.on('error', () => {})
      client.on('error', () => {})
      tunnel.pipe(client).pipe(tunnel)
    })
    const env = { ...through(await open(proxy)), OTEL_EXPORTER_OTLP_CERTIFICATE: CERT }
    const app = startPreloaded({ app: APP, node: node.path, sink: { url: 'https://localhost:4318' }, env })
    await get(`${await listening(app)}/hello`)
    expect((await came)[0].url).toBe('/v1/traces')
    expect(asked[0]).toBe('localhost:4318')
    await app.stop()
  })

  test('a proxy that does not answer keeps nobody alive', async () => {
    const proxy = await open(createServer().on('connect', () => {}))
    const isAsked = once(proxy, 'connect')
    const sink = { url: 'https://localhost:4318' }
    const app = startPreloaded({ app: APP, node: node.path, sink, env: through(proxy) })
    const url = await listening(app)
    await get(`${url}/hello`)
    await isAsked
    await get(`${url}/end`)
    const since = performance.now()
    expect(await app.exit).toEqual({ code: 0, signal: null })
    expect(performance.now() - since).toBeLessThan(5_000)
  })
})

async function forward(request: IncomingMessage, url: string): Promise<number> {
  const body = Buffer.concat(await request.toArray())
  const headers = { 'content-type': String(request.headers['content-type']) }
  return (await fetch(`${url}/v1/traces`, { method: 'POST', headers, body })).status
}
