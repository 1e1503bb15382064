import type { ProbeResult } from '@afterspan/core/internal'
import { beforeEach, describe, expect, test } from 'vitest'
import { natsHooks, type NatsConnection } from '../../src/probes/nats.ts'
import type { FoundProbe } from '../../src/registry.ts'
import { settled } from '../fake-time.ts'
import { probeConformance } from '../probe-conformance.ts'

type Reply = () => Promise<unknown>
const SILENT: Reply = () => new Promise(() => {})
const refuse =
  (message: string, more: object = {}): Reply =>
  async () => {
    throw Object.assign(new Error(message), more)
  }

class FakeConnection implements NatsConnection {
  readonly asked: string[] = []
  readonly end = Promise.withResolvers<unknown>()
  readonly protocol = { connected: true }
  onFlush: Reply = async () => {}
  onRequest: Reply = async () => ({})
  isOver = false
  isEnding = false
  closed(): Promise<unknown> {
    return this.end.promise
  }
  async flush(): Promise<void> {
    this.asked.push('PING')
    await this.onFlush()
  }
  isClosed(): boolean {
    return this.isOver
  }
  isDraining(): boolean {
    return this.isEnding
  }
  async request(subject: string): Promise<{ data: Uint8Array }> {
    this.asked.push(subject)
    return { data: Buffer.from(JSON.stringify(await this.onRequest())) }
  }
}

let found: { readonly probe: FoundProbe; readonly madeAt: string | undefined }[]
let rejected: string[]
let Connection: { connect(connecting: Promise<FakeConnection>): Promise<FakeConnection> }
let Api: new (nc: FakeConnection) => { _request(subject: string): Promise<unknown> }

beforeEach(() => {
  found = []
  rejected = []
  Connection = { connect: (connecting) => connecting }
  Api = class {
    readonly nc: FakeConnection
    constructor(nc: FakeConnection) {
      this.nc = nc
    }
    async _request(subject: string): Promise<unknown> {
      return subject
    }
  }
  const hooks = natsHooks(
    (probe, madeAt) => found.push({ probe, madeAt }),
    (why) => rejected.push(why),
  )
  for (const hook of [...hooks, ...hooks])
    hook.patch({ NatsConnectionImpl: Connection, BaseApiClientImpl: Api }, { version: '3.4.0', format: 'commonjs' })
})

const kept: FakeConnection[] = []
async function connected(): Promise<FakeConnection> {
  const connection = await Connection.connect(Promise.resolve(new FakeConnection()))
  kept.push(connection) // the probe itself does not keep it
  return connection
}
function check(signal = new AbortController().signal): Promise<ProbeResult> {
  return found.at(-1)!.probe.check(signal)
}

describe('a connection', () => {
  test('is found as it is made, once, with the place', async () => {
    await connected()
    expect(found).toHaveLength(1)
    expect(found[0]!.madeAt).toMatch(/nats\.test\.ts:\d+$/)
    expect(await check()).toEqual({
      status: 'pass',
      observed: { roundTrip: { value: expect.any(Number), unit: 'ms' } },
    })
  })

  test('that could not be made is the app’s to handle, and no probe', async () => {
    const refused = Connection.connect(Promise.reject(new Error('no servers')))
    expect(found[0]!.probe.isGone()).toBe(false)
    await expect(refused).rejects.toThrow('no servers')
    expect(found[0]!.probe.isGone()).toBe(true)
  })

  test('that is being made is waited for, until the deadline', async () => {
    const { promise, resolve } = Promise.withResolvers<FakeConnection>()
    kept.push(new FakeConnection())
    const connecting = Connection.connect(promise)
    expect(await check(AbortSignal.abort())).toMatchObject({ status: 'fail', code: 'not_connected' })
    const answer = check()
    resolve(kept.at(-1)!)
    expect(await answer).toMatchObject({ status: 'pass' })
    expect(await connecting).toBe(kept.at(-1))
  })

  test('that the app closed goes; one that gave up stays, until the app makes another', async () => {
    const closed = await connected()
    closed.end.resolve(undefined)
    await settled()
    expect(found[0]!.probe.isGone()).toBe(true)
    const given = await connected()
    given.isOver = true
    given.end.resolve(new Error('connection refused by nats.internal'))
    await settled()
    expect(await check()).toMatchObject({ status: 'fail', code: 'client_ended' })
    expect(found[1]!.probe.isGone()).toBe(false)
    await connected()
    expect(found.map(({ probe }) => probe.isGone())).toEqual([true, true, false])
  })

  test('that was refused says so', async () => {
    const connection = await connected()
    connection.end.resolve(Object.assign(new Error('Authorization Violation'), { name: 'AuthorizationError' }))
    await settled()
    expect(await check()).toMatchObject({ status: 'fail', code: 'auth_failed' })
  })

  test('that is not connected, or draining, is not asked', async () => {
    const connection = await connected()
    connection.protocol.connected = false
    expect(await check()).toMatchObject({ status: 'fail', code: 'not_connected' })
    connection.isEnding = true
    expect(await check()).toMatchObject({ status: 'pass', observed: { checked: { value: 'status' } } })
    expect(connection.asked).toEqual([])
  })

  test('whose server is silent has one question on its way, not one for each round', async () => {
    const connection = await connected()
    connection.onFlush = SILENT
    expect(await check(AbortSignal.abort())).toMatchObject({ status: 'fail', code: 'timeout' })
    expect(await check(AbortSignal.abort())).toMatchObject({ status: 'fail', code: 'timeout' })
    expect(connection.asked).toEqual(['PING'])
  })

  test('more than twenty are said and left alone', async () => {
    for (let i = 0; i < 21; i++) await connected()
    expect([found.length, rejected]).toEqual([20, ['there are 20 connections to NATS already']])
  })
})

describe('JetStream', () => {
  async function asking(...subjects: string[]): Promise<FakeConnection> {
    const connection = await connected()
    for (const subject of subjects) await new Api(connection)._request(subject)
    return connection
  }

  test('is asked what the app itself has asked, and nothing that changes anything', async () => {
    const connection = await asking(
      '$JS.API.INFO',
      '$JS.API.CONSUMER.INFO.orders.worker',
      '$JS.API.STREAM.DELETE.INFO',
      '$JS.API.CONSUMER.DELETE.API.INFO',
      '$JS.API.STREAM.PURGE.orders',
    )
    connection.onRequest = async () => ({ num_pending: 7, num_ack_pending: 2, num_redelivered: 1 })
    expect(await check()).toMatchObject({
      status: 'pass',
      observed: { pending: { value: 7 }, ackPending: { value: 2 }, redelivered: { value: 1 } },
    })
    expect(connection.asked).toEqual(['PING', '$JS.API.CONSUMER.INFO.orders.worker'])
  })

  test('that is not enabled, or has no quorum, fails', async () => {
    const connection = await asking('$JS.API.INFO')
    connection.onRequest = async () => ({ error: { code: 503, description: 'JetStream not enabled' } })
    expect(await check()).toMatchObject({ status: 'fail', code: 'jetstream_unavailable' })
    connection.onRequest = refuse('503', { code: '503' })
    expect(await check()).toMatchObject({ status: 'fail', code: 'jetstream_unavailable' })
  })

  test('a consumer that is gone is asked no more', async () => {
    const connection = await asking('$JS.API.INFO', '$JS.API.CONSUMER.INFO.orders.worker')
    connection.onRequest = async () => ({ error: { code: 404, description: 'consumer not found' } })
    expect(await check()).toMatchObject({ status: 'pass' })
    connection.onRequest = async () => ({ storage: 96, limits: { max_storage: 100 } })
    expect(await check()).toMatchObject({ status: 'warn', code: 'storage_near_limit' })
    expect(connection.asked.at(-1)).toBe('$JS.API.INFO')
  })
})

probeConformance('nats', {
  well: async () => {
    await connected()
    return found.at(-1)!.probe
  },
  sick: async () => {
    ;(await connected()).onFlush = refuse('connection closed by nats.internal:4222')
    return found.at(-1)!.probe
  },
  silent: async () => {
    ;(await connected()).onFlush = SILENT
    return found.at(-1)!.probe
  },
  secrets: ['nats.internal'],
})
