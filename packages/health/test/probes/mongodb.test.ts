import type { ProbeResult } from '@afterspan/core/internal'
import { expect, test } from 'vitest'
import { publicCode } from '../../src/codes.ts'
import { checkClient, type Seen } from '../../src/probes/mongodb-check.ts'
import {
  isDead,
  oldestWaiterMs,
  roleOf,
  type MongoClient,
  type MongoDescription,
  type MongoPool,
} from '../../src/probes/mongodb-client.ts'
import { refusalCode, serverError } from '../../src/probes/mongodb-refusal.ts'

function description(type: string, ...servers: (string | { type: string; error?: unknown })[]): MongoDescription {
  const all = servers.map((each) => (typeof each === 'string' ? { type: each } : each))
  return { type, servers: new Map(all.map((server, n) => [`mongo-${n}.internal:27017`, server])) }
}

test.for([
  ['a standalone', description('Single', 'Standalone'), 'writable'],
  ['one that nobody has reached', description('Single', 'Unknown'), 'unknown'],
  ['a secondary that is meant alone', description('Single', 'RSSecondary'), 'read_only'],
  [
    'a set of which one is gone',
    description('ReplicaSetWithPrimary', 'RSPrimary', 'Unknown', 'RSSecondary'),
    'writable',
  ],
  ['a set that elects', description('ReplicaSetNoPrimary', 'RSSecondary', 'Unknown'), 'no_primary'],
  ['a set of which nobody is there', description('ReplicaSetNoPrimary', 'Unknown', 'PossiblePrimary'), 'unknown'],
  ['a cluster behind mongos', description('Sharded', 'Mongos', 'Unknown'), 'writable'],
  ['a load balancer', description('LoadBalanced', 'LoadBalancer'), 'writable'],
] as const)('%s', ([, given, role]) => {
  expect(roleOf(given)).toBe(role)
})

function thrown(name: string, more: object = {}, message = ''): Error {
  return Object.assign(new Error(message), { name }, more)
}

test.for([
  [thrown('MongoServerError', { code: 18 }, 'Authentication failed.'), 'auth_failed'],
  [thrown('MongoServerError', { code: 8000 }, 'bad auth : authentication failed'), 'auth_failed'],
  [thrown('MongoServerError', { code: 13435 }), 'no_primary'],
  [thrown('MongoServerError', { code: 14031 }), 'disk_full'],
  [thrown('MongoServerError', { code: 59 }, 'no such command'), 'error'],
  [thrown('MongoWaitQueueTimeoutError'), 'pool_exhausted'],
  [thrown('MongoNetworkTimeoutError'), 'timeout'],
  [thrown('MongoNetworkError', {}, 'connection 3 to mongo-0.internal:27017 closed'), 'connection_lost'],
  [thrown('MongoNetworkError', {}, 'connect ECONNREFUSED 10.0.0.7:27017'), 'ECONNREFUSED'],
  [thrown('MongoNetworkError', { cause: { code: 'ENOTFOUND' } }, 'lost'), 'ENOTFOUND'],
  [thrown('MongoNetworkError', { cause: { code: 'CERT_HAS_EXPIRED' } }), 'tls'],
  [thrown('MongoServerSelectionError', { cause: thrown('MongoServerError', { code: 18 }) }), 'auth_failed'],
  [thrown('MongoTopologyClosedError'), 'client_ended'],
  [undefined, 'error'],
  ['a text', 'error'],
] as const)('what a refusal is called: %#', ([error, code]) => {
  expect(refusalCode(error)).toBe(code)
  expect(publicCode(code)).toBe(code)
})

test('of several servers the one is told whose trouble has a name', () => {
  const named = thrown('MongoNetworkError', {}, 'connect ECONNREFUSED 10.0.0.7:27017')
  const servers = [{ type: 'Unknown', error: new Error('x') }, 'Unknown', { type: 'Unknown', error: named }]
  expect(serverError(description('Unknown', ...servers))).toBe(named)
  expect(serverError(description('Unknown', 'Unknown'))).toBeUndefined()
})

function pool(more: Partial<MongoPool> = {}): MongoPool {
  return { availableConnectionCount: 0, currentCheckedOutCount: 0, totalConnectionCount: 0, waitQueueSize: 0, ...more }
}

test('the oldest waiter is read by either clock of the drivers', () => {
  const waiting = (checkoutTime: number | undefined): MongoPool =>
    pool({
      waitQueueSize: 1,
      waitQueue: { first: () => (checkoutTime === undefined ? {} : { checkoutTime }) },
    })
  const system = Number(process.hrtime.bigint() / 1_000_000n)
  expect(oldestWaiterMs([])).toBe(0)
  expect(oldestWaiterMs([pool(), waiting(undefined)])).toBe(0)
  expect(oldestWaiterMs([waiting(performance.now() - 5000)])).toBeGreaterThanOrEqual(5000)
  expect(oldestWaiterMs([waiting(system - 7000)])).toBeGreaterThanOrEqual(6999)
  expect(oldestWaiterMs([waiting(system - 7000)])).toBeLessThan(60_000)
})

test('a client is dead when its connecting has failed, and not before, and not when the app closed it', () => {
  const topology = { description: description('Single', 'Unknown'), isDestroyed: () => true }
  const db = (): never => {
    throw new Error('not asked')
  }
  expect(isDead({ db, topology })).toBe(true)
  expect(isDead({ db, topology, connectionLock: Promise.resolve() })).toBe(false)
  expect(isDead({ db, topology: { ...topology, isDestroyed: () => false } })).toBe(false)
  expect(isDead({ db })).toBe(true) // a name that DNS does not know
  expect(isDead({ db, s: { hasBeenClosed: true } })).toBe(false)
})

/** A driver that cannot take a command back. */
function fakeClient(given: Partial<MongoClient> = {}): {
  client: MongoClient
  seen: Seen
  asked: object[]
  answer(): void
} {
  const asked: object[] = []
  const answers: (() => void)[] = []
  const command = (what: object): Promise<unknown> => {
    asked.push(what)
    return new Promise((resolve) => answers.push(() => resolve({ ok: 1 })))
  }
  const servers = new Map([['mongo-0.internal:27017', { pool: pool() }]])
  return {
    asked,
    answer: () => answers.splice(0).forEach((reply) => reply()),
    client: {
      db: () => ({ command }),
      topology: { description: description('Single', 'Standalone'), s: { servers } },
      ...given,
    },
    seen: {
      hint: false,
      database: () => 'shop',
      wasWritable: false,
      readIn: undefined,
      refusedIn: undefined,
      flight: undefined,
      flights: 0,
      askedAt: 0,
    },
  }
}

test('a question that hangs on a lost connection is put again after a while, and not for ever', async () => {
  const { client, seen, asked, answer } = fakeClient()
  let now = 0
  const check = async (signal: AbortSignal): Promise<ProbeResult> =>
    checkClient({ client, seen, signal, now: () => now, anotherIsWritable: () => false })
  const late = { status: 'fail', code: 'timeout' }
  for (const [at, questions] of [
    [0, 1],
    [10_000, 1],
    [31_000, 2],
    [62_000, 3],
    [93_000, 3],
    [990_000, 3],
  ] as const) {
    now = at
    expect(await check(AbortSignal.abort())).toMatchObject(late)
    expect(asked).toHaveLength(questions)
  }
  const waiting = check(new AbortController().signal)
  answer()
  expect(await waiting).toMatchObject({ status: 'pass' })
  const next = check(new AbortController().signal)
  expect(asked).toHaveLength(4)
  answer()
  expect(await next).toMatchObject({ status: 'pass' })
  expect(seen.flights).toBe(0)
})

test('a client with client-side encryption is not made to look up schemas', async () => {
  const { client, seen, asked, answer } = fakeClient({ autoEncrypter: {} })
  const { signal } = new AbortController()
  const check = checkClient({ client, seen, signal, now: () => 0, anotherIsWritable: () => false })
  answer()
  expect(await check).toMatchObject({ status: 'pass' })
  expect(asked).toEqual([{ ping: 1 }])
})

test('one that looks up its servers is waited for, and its failure is its own', async () => {
  const { promise, reject } = Promise.withResolvers<void>()
  const { client, seen } = fakeClient({ topology: undefined, connectionLock: promise })
  const given = { client, seen, now: () => 0, anotherIsWritable: () => false }
  expect(await checkClient({ ...given, signal: AbortSignal.abort() })).toMatchObject({ code: 'not_connected' })
  const check = checkClient({ ...given, signal: new AbortController().signal })
  reject(new Error('querySrv ENOTFOUND _mongodb._tcp.mongo.internal'))
  expect(await check).toMatchObject({ status: 'fail', code: 'not_connected' })
})
