import type { ProbeResult } from '@afterspan/core/internal'
import { beforeEach, describe, expect, test } from 'vitest'
import type { BareClient } from '../../src/probes/postgresql-bare-client.ts'
import { postgresqlClientHook } from '../../src/probes/postgresql-client.ts'
import type { FoundProbe } from '../../src/registry.ts'
import { probeConformance } from '../probe-conformance.ts'

type Reply = () => Promise<{ rows: readonly Record<string, unknown>[] }>
const WRITABLE: Reply = async () => ({ rows: [{ in_recovery: 'false', read_only: 'off' }] })

class FakeClient implements BareClient {
  readonly connectionParameters = { host: 'db.internal', port: 5432, database: 'shop', user: 'web' }
  readyForQuery = true
  _queryQueue: unknown[] = []
  _connected = false
  _connectionError = false
  _ending = false
  _queryable = true
  transaction = 'I'
  reply = WRITABLE
  asked = 0
  getTransactionStatus?(): unknown
  connection?: NonNullable<BareClient['connection']>
  query(): ReturnType<Reply> {
    this.asked++
    return this.reply()
  }
  async connect(): Promise<void> {
    this._connected = true
  }
}

let found: { readonly probe: FoundProbe; readonly madeAt: string | undefined }[]
let rejected: string[]
let now = 0
let Client: typeof FakeClient
const kept: FakeClient[] = []

beforeEach(() => {
  found = []
  rejected = []
  Client = class extends FakeClient {}
  Object.defineProperty(Client.prototype, 'connect', { value: FakeClient.prototype.connect, writable: true })
  Object.defineProperty(Client.prototype, 'getTransactionStatus', {
    value(this: FakeClient) {
      return this.transaction
    },
  })
  const hook = postgresqlClientHook(
    (probe, madeAt) => found.push({ probe, madeAt }),
    { monotonicMs: () => now },
    (why) => rejected.push(why),
  )
  for (let i = 0; i < 2; i++) hook.patch({ Client }, { version: '8.23.1', format: 'commonjs' })
})

async function connected(): Promise<FakeClient> {
  const client = new Client()
  kept.push(client) // the probe itself does not keep it
  await client.connect()
  return client
}
function check(signal = new AbortController().signal): Promise<ProbeResult> {
  return found.at(-1)!.probe.check(signal)
}

test('clients of one database are found as they connect, where they do, and asked through one', async () => {
  const [one, other] = [await connected(), await connected()]
  expect(found).toMatchObject([{ madeAt: expect.stringMatching(/postgresql-client\.test\.ts:\d+$/) }])
  expect(await check()).toMatchObject({ status: 'pass', observed: { clients: { value: 2 }, open: { value: 2 } } })
  expect([one.asked, other.asked]).toEqual([1, 0])
  one._ending = true
  await check()
  expect(other.asked).toBe(1)
  other._ending = true
  expect([found[0]!.probe.isGone(), await check()]).toMatchObject([
    false,
    { status: 'pass', observed: { open: { value: 0 } } },
  ])
  now += 60_000
  expect(found[0]!.probe.isGone()).toBe(true)
})

test('a pool of a library that lets its connections go and makes others is one check, not one after another', async () => {
  for (let i = 0; i < 3; i++) {
    const client = await connected()
    expect(await check()).toMatchObject({ status: 'pass', observed: { clients: { value: 1 } } })
    client._ending = true
    expect(found[0]!.probe.isGone()).toBe(false)
    now += 59_000
  }
  expect(found).toHaveLength(1)
})

describe('nothing is asked', () => {
  test.for<[string, (client: FakeClient) => void]>([
    ['in a transaction of the app', (client) => (client.transaction = 'T')],
    ['in a broken one', (client) => (client.transaction = 'E')],
    ['while a statement is on its way', (client) => (client.readyForQuery = false)],
    ['while one waits to be sent', (client) => client._queryQueue.push({})],
  ])('%s', async ([, busy]) => {
    const client = await connected()
    busy(client)
    expect(await check()).toMatchObject({ status: 'pass', observed: { checked: { value: 'status' } } })
    expect(client.asked).toBe(0)
  })

  test('of an older version before its server has said that there is no transaction', async () => {
    let tell: ((told: { status: string }) => void) | undefined
    const client = new Client()
    Object.defineProperty(client, 'getTransactionStatus', { value: undefined })
    client.connection = { on: (_event, listener) => (tell = listener) }
    kept.push(client)
    await client.connect()
    await check()
    tell!({ status: 'T' })
    await check()
    expect(client.asked).toBe(0)
    tell!({ status: 'I' })
    expect([(await check()).status, client.asked]).toEqual(['pass', 1])
  })
})

test('one that is lost is told of, until the app has another', async () => {
  const client = await connected()
  client._queryable = false
  expect(await check()).toMatchObject({ status: 'fail', code: 'connection_lost' })
  await connected()
  expect(await check()).toMatchObject({ status: 'pass', observed: { open: { value: 1 } } })
})

test('one that is about to be connected is waited for', async () => {
  const client = await connected()
  client._connected = false
  const answer = check()
  client._connected = true
  expect(await answer).toMatchObject({ status: 'pass' })
})

test('one behind whose unanswered statement others wait is a timeout, though it cannot be asked', async () => {
  const client = await connected()
  client.readyForQuery = false
  client._queryQueue.push({})
  expect(await check()).toMatchObject({ status: 'pass', observed: { checked: { value: 'status' } } })
  now += 1500
  expect(await check()).toMatchObject({ status: 'fail', code: 'timeout', cause: 'dependency' })
  client._queryQueue.length = 0
  expect(await check()).toMatchObject({ status: 'pass' })
})

test('one that has not connected yet, and one that could not', async () => {
  const client = await connected()
  client._connected = false
  expect(await check(AbortSignal.abort())).toMatchObject({ status: 'fail', code: 'not_connected' })
  client._connectionError = true
  expect(await check()).toMatchObject({ status: 'fail', code: 'connection_lost' })
})

test('a server that is silent has one question on its way, not one for each round', async () => {
  const client = await connected()
  client.reply = () => new Promise(() => {})
  for (let i = 0; i < 2; i++)
    expect(await check(AbortSignal.abort())).toMatchObject({ status: 'fail', code: 'timeout' })
  expect(client.asked).toBe(1)
})

probeConformance('a client of pg', {
  well: async () => {
    await connected()
    return found.at(-1)!.probe
  },
  sick: async () => {
    const client = await connected()
    client.reply = async () => {
      throw Object.assign(new Error('database "shop" does not exist on db.internal'), { code: '3D000' })
    }
    return found.at(-1)!.probe
  },
  silent: async () => {
    const client = await connected()
    client.reply = () => new Promise(() => {})
    return found.at(-1)!.probe
  },
  secrets: ['db.internal', 'shop'],
})
