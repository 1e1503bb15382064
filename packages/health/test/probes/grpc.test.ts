import { EventEmitter } from 'node:events'
import { beforeEach, expect, test } from 'vitest'
import { CHECK, encodeRequest } from '../../src/grpc-wire.ts'
import type { GrpcCall, GrpcError } from '../../src/probes/grpc-client.ts'
import { grpcHook } from '../../src/probes/grpc.ts'
import type { FoundProbe } from '../../src/registry.ts'
import { probeConformance } from '../probe-conformance.ts'

type Reply = (service: string) => GrpcError | number | 'silent'
type Done = (error: GrpcError | null, value?: number) => void

let now = 0
let found: FoundProbe[] = []
let reply: Reply = () => 1
/** The probe itself does not keep them. */
const kept: unknown[] = []

/** The channel of @grpc/grpc-js, as far as it is used. */
class Channel extends EventEmitter {
  state = 2
  readonly target: string
  constructor(target: string) {
    super()
    this.target = target
  }
  getTarget(): string {
    return this.target
  }
  getConnectivityState(): number {
    return this.state
  }
  createCall(): { start(metadata: unknown, listener: { onReceiveStatus(status: { code: number }): void }): void } {
    return { start: (_metadata, listener) => this.once('status', (code) => listener.onReceiveStatus({ code })) }
  }
}
class FakeClient {
  readonly channel: Channel
  readonly asked: string[] = []
  cancelled = 0
  constructor(target: string) {
    this.channel = new Channel(target)
  }
  getChannel(): Channel {
    return this.channel
  }
  makeUnaryRequest(
    path: string,
    serialize: (value: string) => Buffer,
    _: unknown,
    service: string,
    done: Done,
  ): GrpcCall {
    if (path !== CHECK || !serialize(service).equals(encodeRequest(service))) throw new Error(`asked ${path}`)
    this.asked.push(service)
    const its = reply(service)
    if (typeof its === 'number') queueMicrotask(() => done(null, its))
    else if (its !== 'silent') queueMicrotask(() => done(its))
    return { cancel: () => void this.cancelled++ }
  }
}

const module = { Client: FakeClient }
const hook = grpcHook(
  (probe) => found.push(probe),
  { monotonicMs: () => now },
  () => {},
)
hook.patch(module, { version: '1.14.7', format: 'commonjs' })
class Stock extends module.Client {
  static readonly service = { Get: { path: '/shop.Stock/Get' } }
}

let targets = 0
function client(target = `dns:db.internal:${5000 + targets++}`): Stock {
  const made = new Stock(target)
  kept.push(made)
  return made
}
function check(): Promise<unknown> {
  return found.at(-1)!.check(new AbortController().signal)
}

beforeEach(() => {
  for (const made of kept.splice(0) as Stock[]) made.channel.state = 4
  found = []
  now += 100_000
  reply = () => 1
})

test('clients of one address are one probe, which goes when the last one is closed', () => {
  const both = [client('dns:a:1'), client('dns:a:1')]
  expect(found).toHaveLength(1)
  both[0]!.channel.state = 4
  expect(found[0]!.isGone()).toBe(false)
  both[1]!.channel.state = 4
  expect(found[0]!.isGone()).toBe(true)
})

test('a server is asked for the service of its clients, and as a whole where it does not know that', async () => {
  const stock = client()
  reply = (service) => (service === '' ? 1 : { code: 5 })
  expect([await check(), await check()]).toMatchObject([{ status: 'pass' }, { status: 'pass' }])
  expect(stock.asked).toEqual(['shop.Stock', '', ''])
})

test.for([
  [2, 'fail', 'NOT_SERVING'],
  [0, 'warn', 'UNKNOWN'],
  [
    { code: 14, details: 'No connection established. Last error: connect ECONNREFUSED 10.0.0.7:50051' },
    'fail',
    'UNAVAILABLE',
  ],
  [{ code: 4 }, 'fail', 'timeout'],
  [{ code: 8 }, 'fail', 'RESOURCE_EXHAUSTED'],
  [{ code: 99 }, 'fail', 'UNKNOWN'],
] as const)('%j is %s (%s)', async ([its, status, code]) => {
  client()
  reply = () => its
  expect(await check()).toMatchObject({ status, code, cause: 'dependency' })
})

test('a server without the protocol is asked once in ten seconds, and judged by the calls of the app', async () => {
  const stock = client()
  reply = () => ({ code: 12 })
  const byCalls = { observed: { checked: { value: 'calls' } } }
  expect([await check(), await check()]).toMatchObject([
    { status: 'pass', ...byCalls },
    { status: 'pass', ...byCalls },
  ])
  expect(stock.asked).toHaveLength(1)

  const calls = (code: number): void => {
    let heard: unknown
    const listener = { onReceiveStatus: (status: unknown) => (heard = status) }
    stock.channel.createCall().start({}, listener)
    stock.channel.emit('status', code)
    expect(heard).toEqual({ code })
  }
  now += 1000
  calls(14)
  expect(await check()).toMatchObject({ status: 'fail', code: 'UNAVAILABLE', ...byCalls })
  // Until one goes well, though nobody calls meanwhile.
  now += 1000
  expect(await check()).toMatchObject({ status: 'fail', code: 'UNAVAILABLE', ...byCalls })
  calls(0)
  expect(await check()).toMatchObject({ status: 'pass' })
  stock.channel.state = 3
  reply = () => ({ code: 14 })
  expect(await check()).toMatchObject({ status: 'fail', code: 'UNAVAILABLE' })
})

test.each([
  ['certificate_expired', 'Error: certificate has expired'],
  ['tls', "Error [ERR_TLS_CERT_ALTNAME_INVALID]: Hostname/IP does not match certificate's altnames"],
  ['tls', 'Error: unable to verify the first certificate'],
  ['UNAVAILABLE', 'Error: connect ECONNREFUSED 10.0.0.1:443'],
])('a connection that could not be made is %s where the reason is: %s', async (code, why) => {
  client()
  reply = () => ({ code: 14, details: `No connection established. Last error: ${why}` })
  expect(await check()).toMatchObject({ status: 'fail', code })
})

function probeOf(its: Reply): FoundProbe {
  reply = its
  client()
  return found.at(-1)!
}
probeConformance('grpc', {
  well: () => probeOf(() => 1),
  sick: () => probeOf(() => ({ code: 14, details: 'connect ECONNREFUSED db.internal:5432' })),
  silent: () => probeOf(() => 'silent'),
  secrets: ['db.internal', '5432'],
})
