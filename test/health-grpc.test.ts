import * as grpc from '@grpc/grpc-js'
import { formatsInTurn, faultyProxy, get, pollUntil, startPreloaded, type PreloadedApp } from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { describe, expect, test } from 'vitest'
import { appFile, listening } from './app.ts'
import { untilAnswer } from './until-answer.ts'

const apps = { cjs: appFile('grpc.cjs'), mjs: appFile('grpc.mjs') }
const FOREIGN = { headers: { 'x-forwarded-for': '203.0.113.9' } }
const QUICK = { AFTERSPAN_HEALTH_INTERVAL: '300', AFTERSPAN_HEALTH_TIMEOUT: '500' }
const SERVING = 1
const NOT_SERVING = 2
const NOT_FOUND = 5

const asIs = (bytes: Buffer): Buffer => bytes
const method = (path: string): grpc.MethodDefinition<Buffer, Buffer> => ({
  path,
  requestStream: false,
  responseStream: false,
  requestSerialize: asIs,
  requestDeserialize: asIs,
  responseSerialize: asIs,
  responseDeserialize: asIs,
})
type Done = (error: object | null, value?: Buffer) => void

/** The service that the app depends on. */
interface Upstream {
  readonly port: number
  /** Of grpc.health.v1; undefined: it does not know that. */
  status: number | undefined
  /** What its own calls are answered with; 0 is well. */
  code: number
  /** The service names that it was asked for. */
  readonly asked: string[]
  stop(): Promise<void>
}

async function upstream(status: number | undefined, port = 0): Promise<Upstream> {
  const server = new grpc.Server()
  server.addService(
    { Get: method('/shop.Stock/Get') },
    { Get: (_call: unknown, done: Done) => (its.code === 0 ? done(null, Buffer.alloc(0)) : done({ code: its.code })) },
  )
  server.addService(
    { Check: method('/grpc.health.v1.Health/Check') },
    {
      Check: ({ request }: { readonly request: Buffer }, done: Done) => {
        its.asked.push(request.subarray(2).toString())
        if (its.status === undefined) done({ code: 12, details: 'unknown service' })
        else if (request.length > 0) done({ code: NOT_FOUND })
        else done(null, Buffer.from([0x08, its.status]))
      },
    },
  )
  const its = { port: await bind(server, port), status, code: 0, asked: [] as string[], stop }
  async function stop(): Promise<void> {
    server.forceShutdown()
  }
  return its
}

function bind(server: grpc.Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (error, bound) => {
      if (error) reject(error)
      else resolve(bound)
    })
  })
}

/** Asks a server for its health. */
function healthOf(port: number): {
  check(service: string): Promise<number | string>
  list(): Promise<string>
  watch(service: string): { readonly told: number[]; readonly end: Promise<void> }
  close(): void
} {
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure())
  const call = (path: string, request: Buffer): Promise<Buffer | number> =>
    new Promise((resolve) => {
      client.makeUnaryRequest(path, asIs, asIs, request, { deadline: Date.now() + 5000 }, (error, value) => {
        resolve(error ? error.code : value!)
      })
    })
  const named = (service: string): Buffer =>
    service === '' ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, service.length]), Buffer.from(service)])
  return {
    async check(service) {
      const answer = await call('/grpc.health.v1.Health/Check', named(service))
      return typeof answer === 'number' ? `status ${answer}` : (answer[1] ?? 0)
    },
    list: async () => String(await call('/grpc.health.v1.Health/List', Buffer.alloc(0))),
    watch(service) {
      const told: number[] = []
      const stream = client.makeServerStreamRequest('/grpc.health.v1.Health/Watch', asIs, asIs, named(service))
      stream.on('data', (message: Buffer) => told.push(message[1] ?? 0))
      stream.on('error', () => {})
      return { told, end: new Promise((resolve) => stream.on('end', resolve)) }
    },
    close: () => client.close(),
  }
}

async function until(admin: string, status: number, text: string): Promise<void> {
  await untilAnswer(`${admin}/readyz?verbose`, status, text)
}

async function grpcPort(child: PreloadedApp): Promise<number> {
  return Number((await child.waitForLine(/^grpc (\d+)$/))[1])
}

formatsInTurn(
  'a gRPC client is asked over its channel, a gRPC server tells what /readyz says',
  apps,
  async (scenario) => {
    const stock = await upstream(SERVING)
    const sink = await startOtlpSink()
    const env = { ...QUICK, GRPC_TARGET: `127.0.0.1:${stock.port}`, AFTERSPAN_HEALTH_MOUNT: 'app' }
    const child = startPreloaded({ app: scenario.app, node: scenario.node.path, sink, env })
    const url = await listening(child)
    const admin = await child.adminUrl()
    await until(admin, 200, '[+]grpc ok')
    expect(JSON.parse((await get(`${admin}/health`)).text)).toMatchObject({
      checks: { 'grpc:responseTime': [{ madeAt: expect.stringMatching(/grpc-app\.cjs:17$/) }] },
    })
    const health = healthOf(await grpcPort(child))
    const names = ['', 'shop.Orders', 'grpc', 'shop.Nothing']
    expect(await Promise.all(names.map((name) => health.check(name)))).toEqual([SERVING, SERVING, SERVING, 'status 5'])
    const watch = health.watch('shop.Orders')
    await pollUntil(() => watch.told.length === 1)

    stock.status = NOT_SERVING
    await until(admin, 503, '[-]grpc failed: NOT_SERVING')
    await pollUntil(() => watch.told.length === 2)
    expect(await health.check('')).toBe(NOT_SERVING)
    stock.status = SERVING
    await until(admin, 200, '[+]grpc ok')
    await pollUntil(() => watch.told.length === 3)

    // Whoever watches does not hold the server, nor the process.
    expect((await get(`${url}/shutdown`)).text).toBe('shut down')
    await watch.end
    expect(watch.told).toEqual([SERVING, NOT_SERVING, SERVING, NOT_SERVING])
    expect(await child.exit).toMatchObject({ code: 0 })
    const spans = sink.spans().map(({ name, kind }) => `${kind} ${name}`)
    expect(spans.filter((span) => !/^internal health grpc (?:fail|pass)$|^server GET/.test(span))).toEqual([])
    health.close()
    await stock.stop()
    await sink.close()
  },
)

test('a server has health by one line, its List and Watch of what is not there; without either it has none', async () => {
  const stock = await upstream(SERVING)
  const env = { ...QUICK, GRPC_TARGET: `127.0.0.1:${stock.port}` }
  const byCode = startPreloaded({ app: apps.cjs, env: { ...env, SERVES: 'by code' } })
  await until(await byCode.adminUrl(), 200, '[+]grpc ok')
  const health = healthOf(await grpcPort(byCode))
  expect(await health.check('')).toBe(SERVING)
  expect(await health.list()).toContain('\u000a\u0011\u000a\u000bshop.Orders\u0012\u0002\u0008\u0001')
  const watch = health.watch('shop.Nothing')
  await pollUntil(() => watch.told.length === 1)
  expect(watch.told).toEqual([3])
  await byCode.stop()
  health.close()

  const without = startPreloaded({ app: apps.cjs, env })
  const none = healthOf(await grpcPort(without))
  expect(await none.check('')).toBe('status 12')
  await without.stop()
  none.close()
  await stock.stop()
})

describe('a gRPC server behind an open channel', () => {
  test('that does not answer, is gone, or comes back is told by its code, and to others by that alone', async () => {
    const stock = await upstream(SERVING)
    const proxy = await faultyProxy({ host: '127.0.0.1', port: stock.port })
    const child = startPreloaded({ app: apps.cjs, env: { ...QUICK, GRPC_TARGET: `127.0.0.1:${proxy.port}` } })
    const admin = await child.adminUrl()
    await until(admin, 200, '[+]grpc ok')
    // Its own service is not known there; then it is asked as a whole.
    expect(stock.asked.slice(0, 2)).toEqual(['shop.Stock', ''])

    await proxy.set('hold')
    await until(admin, 503, '[-]grpc failed: timeout')
    const seen = await get(`${admin}/health`, FOREIGN)
    expect(JSON.parse(seen.text)).toMatchObject({ status: 'fail' })
    expect((JSON.parse(seen.text) as { checks: object }).checks).toMatchObject({
      'grpc:responseTime': [{ status: 'fail', code: 'timeout' }],
    })
    await proxy.set('none')
    await until(admin, 200, '[+]grpc ok')

    await proxy.set('refuse')
    await until(admin, 503, '[-]grpc failed: UNAVAILABLE')
    expect((await get(`${admin}/livez`)).status).toBe(200)
    expect((await get(`${admin}/health`)).text).not.toContain(String(proxy.port))
    await proxy.set('none')
    await until(admin, 200, '[+]grpc ok')
    expect(proxy.connections).toBe(1)
    expect(child.stderr.replace(/^\[afterspan\] AFS_HEALTH_CHANGED grpc .*\n/gm, '')).toBe('')
    await child.stop()
    await proxy.stop()
    await stock.stop()
  })

  test('that is frozen does not hold the natural end of the app until the question runs out', async () => {
    const stock = await upstream(SERVING)
    const proxy = await faultyProxy({ host: '127.0.0.1', port: stock.port })
    const env = { ...QUICK, AFTERSPAN_HEALTH_TIMEOUT: '60000', GRPC_TARGET: `127.0.0.1:${proxy.port}` }
    const child = startPreloaded({ app: apps.cjs, env })
    const url = await listening(child)
    const admin = await child.adminUrl()
    await until(admin, 200, '[+]grpc ok')
    await proxy.set('mute')
    const asked = stock.asked.length
    await pollUntil(() => stock.asked.length > asked)
    expect((await get(`${url}/leave`)).text).toBe('left')
    // Before the minute is over that the question has.
    expect(await child.exit).toMatchObject({ code: 0, signal: null })
    await proxy.stop()
    await stock.stop()
  })

  test('that has no health service is judged by the calls of the app', async () => {
    const stock = await upstream(undefined)
    const child = startPreloaded({ app: apps.cjs, env: { ...QUICK, GRPC_TARGET: `127.0.0.1:${stock.port}` } })
    const url = await listening(child)
    const admin = await child.adminUrl()
    await until(admin, 200, '[+]grpc ok')
    await pollUntil(async () => (await get(`${admin}/health`)).text.includes('"observedValue":"calls"'))
    stock.code = 14
    expect((await get(url)).text).toBe('failed 14')
    await until(admin, 503, '[-]grpc failed: UNAVAILABLE: the calls of the app itself fail')
    stock.code = 0
    expect((await get(url)).text).toBe('done')
    await until(admin, 200, '[+]grpc ok')
    expect(new Set(stock.asked)).toEqual(new Set(['shop.Stock']))
    await child.stop()
    await stock.stop()
  })
})
