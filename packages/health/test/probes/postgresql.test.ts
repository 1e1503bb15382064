import { EventEmitter } from 'node:events'
import type { ProbeResult } from '@afterspan/core/internal'
import { beforeEach, describe, expect, test } from 'vitest'
import { probeConformance } from '../probe-conformance.ts'
import { postgresqlHook } from '../../src/probes/postgresql.ts'
import type { FoundProbe } from '../../src/registry.ts'
import { fakeTime, settled, type FakeTime } from '../fake-time.ts'

type Done = (error: unknown, client?: FakeClient, release?: (destroy?: boolean | Error) => void) => void
type Query = (text: string) => Promise<{ rows: readonly Record<string, unknown>[] }>

const WRITABLE = { in_recovery: 'false', read_only: 'off' }
const answer =
  (row: Record<string, unknown>): Query =>
  async () => ({ rows: [row] })
const refuse =
  (code: string, message = 'no'): Query =>
  async () => {
    throw Object.assign(new Error(message), { code })
  }
const hang: Query = () => new Promise(() => {})

class FakeClient extends EventEmitter {
  destroyed: boolean | undefined
  query: Query
  constructor(query: Query) {
    super()
    this.query = query
  }
}

/** A pool as pg-pool's: one client, which is idle or taken. */
class FakePool extends EventEmitter {
  static defaults = { max: 10 }
  readonly options: Record<string, unknown>
  totalCount = 1
  idleCount = 1
  ending = false
  ended = false
  client = new FakeClient(answer(WRITABLE))
  _pendingQueue: { callback: Done }[] = []
  constructor(options: Record<string, unknown> = {}) {
    super()
    this.options = { max: 1, idleTimeoutMillis: 10_000, ...options }
  }
  get waitingCount(): number {
    return this._pendingQueue.length
  }
  connect(callback: Done): void {
    if (this.idleCount === 0) this._pendingQueue.push({ callback })
    else this.handOut(callback)
  }
  handOut(callback: Done): void {
    const { client } = this
    this.idleCount = 0
    this.emit('acquire', client)
    callback(undefined, client, (destroy) => {
      client.destroyed = Boolean(destroy)
      this.idleCount = 1
      this.emit('release', destroy, client)
    })
  }
}

let time: FakeTime
let found: { readonly probe: FoundProbe; readonly madeAt: string | undefined }[]
let rejected: string[]
let Pool: typeof FakePool

beforeEach(() => {
  time = fakeTime()
  found = []
  rejected = []
  // A class of its own for each test: the hook touches its prototype.
  class OwnPool extends FakePool {}
  const hook = postgresqlHook(
    (probe, madeAt) => found.push({ probe, madeAt }),
    time.clock,
    (why) => rejected.push(why),
  )
  Pool = hook.patch(OwnPool, { version: '3.14.0', format: 'commonjs' }) as typeof FakePool
})

function check(at = 0, signal: AbortSignal = new AbortController().signal): Promise<ProbeResult> {
  return found[at]!.probe.check(signal)
}

describe('the constructor that stands in', () => {
  test('is the same class to everybody: instanceof, statics, constructor, subclasses as pg makes them', () => {
    class BoundPool extends Pool {
      constructor(options: Record<string, unknown>) {
        super({ ...options, bound: true })
      }
    }
    const pool = new BoundPool({ max: 3 })
    expect(pool).toBeInstanceOf(BoundPool)
    expect(pool).toBeInstanceOf(Pool)
    expect(pool.options).toMatchObject({ max: 3, bound: true })
    expect(Object.getPrototypeOf(pool)).toBe(BoundPool.prototype)
    expect(Pool.defaults).toEqual({ max: 10 })
    expect(new Pool().constructor).toBe(Pool)
    expect(found).toHaveLength(2)
  })

  test('a method that someone else wraps on its prototype is wrapped for all pools', () => {
    const before = new Pool()
    let calls = 0
    const prototype = Pool.prototype as { connect: (this: FakePool, callback: Done) => void }
    const original = prototype.connect
    prototype.connect = function (callback) {
      calls++
      original.call(this, callback)
    }
    before.connect(() => {})
    new Pool().connect(() => {})
    expect(calls).toBe(2)
  })

  test('comes once, by whichever module format the class comes again', () => {
    class Other extends FakePool {}
    const hook = postgresqlHook(
      () => found.push(undefined as never),
      time.clock,
      () => {},
    )
    const byRequire = hook.patch(Other, { version: '3.14.0', format: 'commonjs' })
    const byImport = hook.patch({ default: byRequire }, { version: '3.14.0', format: 'module' })
    expect(byImport).toBe(byRequire)
    expect(hook.patch(Other, { version: '3.14.0', format: 'commonjs' })).toBe(byRequire)
    new (byImport as typeof FakePool)()
    expect(found).toHaveLength(1)
  })

  test('exports that are no class are left alone, by a throw that the hooks catch', () => {
    const hook = postgresqlHook(
      () => {},
      time.clock,
      () => {},
    )
    expect(() => hook.patch({}, { version: '3.14.0', format: 'commonjs' })).toThrow(TypeError)
  })
})

test('each pool is a required probe that knows who made it', () => {
  new Pool()
  expect(found[0]).toMatchObject({ probe: { name: 'postgresql', component: 'postgresql', criticality: 'required' } })
  expect(found[0]!.madeAt).toMatch(/test\/probes\/postgresql\.test\.ts:\d+$/)
})

test('more than twenty pools are not probed, and that is said; ended ones make room', () => {
  const pools = Array.from({ length: 21 }, () => new Pool())
  expect(found).toHaveLength(20)
  expect(rejected).toEqual(['there are 20 pools of pg already'])
  pools[3]!.ending = true
  new Pool()
  expect(found).toHaveLength(21)
})

test('an ended pool is gone', () => {
  const pool = new Pool()
  expect(found[0]!.probe.isGone()).toBe(false)
  pool.ending = true
  expect(found[0]!.probe.isGone()).toBe(true)
})

describe('a check', () => {
  test('borrows one client, asks once, gives it back and counts', async () => {
    const pool = new Pool()
    expect(await check()).toEqual({
      status: 'pass',
      observed: {
        connections: { value: 1, unit: 'count' },
        idle: { value: 1, unit: 'count' },
        waiting: { value: 0, unit: 'count' },
        max: { value: 1, unit: 'count' },
      },
    })
    expect([pool.idleCount, pool.client.destroyed]).toEqual([1, false])
    expect(pool.client.listenerCount('error')).toBe(0)
  })

  test.for([
    ['53300', 'fail', '53300'],
    ['57P01', 'fail', '57P01'],
    ['25P02', 'warn', '25P02'],
    ['ECONNRESET', 'fail', 'ECONNRESET'],
    ['whatever', 'fail', 'error'],
  ] as const)('an error %s is %s with code %s, and the client does not go back', async ([code, status, told]) => {
    const pool = new Pool()
    pool.client.query = refuse(code)
    expect(await check()).toMatchObject({ status, code: told })
    expect(pool.client.destroyed).toBe(true)
  })

  test('a server that accepts and does not answer is a timeout, and the wedged client does not go back', async () => {
    const pool = new Pool()
    pool.client.query = hang
    const controller = new AbortController()
    const result = check(0, controller.signal)
    await settled()
    controller.abort()
    expect(await result).toMatchObject({ status: 'fail', code: 'timeout', cause: 'dependency' })
    expect(pool.client.destroyed).toBe(true)
    // It may still fail in its own time: nobody else listens.
    expect(() => pool.client.emit('error', new Error('late'))).not.toThrow()
  })

  test('an exhausted pool is told as such, and the place in its queue is given up', async () => {
    const pool = new Pool()
    pool.idleCount = 0
    pool._pendingQueue.push({ callback: () => {} })
    const controller = new AbortController()
    const result = check(0, controller.signal)
    expect(pool.waitingCount).toBe(2)
    controller.abort()
    expect(await result).toMatchObject({
      status: 'fail',
      code: 'pool_exhausted',
      cause: 'self_recoverable',
      observed: { waiting: { value: 1 }, idle: { value: 0 } },
    })
    expect(pool.waitingCount).toBe(1)
  })

  test('a client that comes after all is given back as it came', async () => {
    const pool = new Pool()
    let handOut = (): void => {}
    pool.connect = (callback) => {
      handOut = () => pool.handOut(callback)
    }
    const controller = new AbortController()
    const result = check(0, controller.signal)
    controller.abort()
    expect(await result).toMatchObject({ code: 'timeout' })
    handOut()
    expect([pool.idleCount, pool.client.destroyed]).toEqual([1, false])
  })

  test('a connection that is being made for it is broken off, as the pool does itself', async () => {
    const pool = Object.assign(new Pool(), { _clients: [] as unknown[] })
    let isBroken = false
    pool.connect = (callback) => {
      pool._clients.push({
        connection: {
          stream: {
            destroy() {
              isBroken = true
              callback(new Error('Connection terminated unexpectedly'))
            },
          },
        },
      })
    }
    const controller = new AbortController()
    const result = check(0, controller.signal)
    controller.abort()
    expect(await result).toMatchObject({ status: 'fail', code: 'timeout' })
    expect(isBroken).toBe(true)
  })

  test('a pool that answers by a promise alone is understood', async () => {
    const pool = new Pool()
    let isReleased = false
    const client = Object.assign(pool.client, { release: () => (isReleased = true) })
    pool.connect = (async () => client) as never
    expect(await check()).toMatchObject({ status: 'pass' })
    expect(isReleased).toBe(true)
  })

  test.for([
    ['timeout exceeded when trying to connect', true, 'pool_exhausted'],
    ['timeout exceeded when trying to connect', false, 'timeout'],
    ['Connection terminated unexpectedly', false, 'connection_lost'],
    ['SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string', false, 'auth_failed'],
    ['The server does not support SSL connections', false, 'tls'],
  ] as const)('a pool that refuses with "%s" (all busy: %s) is %s', async ([message, isBusy, code]) => {
    const pool = new Pool()
    pool.connect = (callback) => {
      if (isBusy) pool.idleCount = 0
      callback(new Error(message))
    }
    expect(await check()).toMatchObject({ status: 'fail', code })
  })

  test('a server that is not PostgreSQL is asked a simpler question from then on', async () => {
    const pool = new Pool()
    const questions: string[] = []
    pool.client.query = async (text) => {
      questions.push(text)
      if (text.includes('recovery')) throw Object.assign(new Error('unknown function'), { code: '42883' })
      return { rows: [{ answer: 1 }] }
    }
    expect([(await check()).status, (await check()).status]).toEqual(['pass', 'pass'])
    expect(questions.at(-1)).toBe('select 1 as answer')
  })
})

describe('a database that refuses writes', () => {
  const READ_ONLY = { in_recovery: 'false', read_only: 'on' }
  const REPLICA = { in_recovery: 'true', read_only: 'on' }

  test('fails', async () => {
    const pool = new Pool()
    pool.client.query = answer(READ_ONLY)
    expect(await check()).toMatchObject({ status: 'fail', code: 'read_only' })
    pool.client.query = answer(REPLICA)
    expect(await check()).toMatchObject({ status: 'fail', code: 'in_recovery' })
  })

  test('is as it should be beside one that is writable: a replica', async () => {
    new Pool()
    const replica = new Pool()
    replica.client.query = answer(REPLICA)
    expect(await check(1)).toMatchObject({ status: 'fail' })
    await check(0)
    expect(await check(1)).toMatchObject({ status: 'pass', observed: { role: { value: 'replica' } } })
  })

  test('fails where it could write before, whatever else is there', async () => {
    new Pool()
    const second = new Pool()
    await check(0)
    await check(1)
    second.client.query = answer(REPLICA)
    expect(await check(1)).toMatchObject({ status: 'fail', code: 'in_recovery' })
  })

  test.for([
    { host: 'db-ro.internal' },
    { host: 'shop.cluster-ro-abc.eu-west-1.rds.amazonaws.com' },
    { host: 'replica-2' },
    { connectionString: 'postgres://u:p@reader.db.example/shop' },
    { options: '-c default_transaction_read_only=on' },
  ])('is as it should be where it was asked for: %j', async (options) => {
    new Pool(options).client.query = answer(REPLICA)
    expect(await check()).toMatchObject({ status: 'pass' })
  })

  test.for([{ host: 'db.rome.example' }, { host: 'readymade.example' }, { host: 'proxy' }])(
    'no such wish is read into %j',
    async (options) => {
      new Pool(options).client.query = answer(REPLICA)
      expect(await check()).toMatchObject({ status: 'fail' })
    },
  )
})

describe('a pool that the app has left alone', () => {
  function idle(pool: FakePool): { readonly unrefs: string[] } {
    const unrefs: string[] = []
    Object.assign(pool.client, { unref: () => unrefs.push('client') })
    Object.assign(pool, {
      _idle: [{ client: pool.client, timeoutId: { unref: () => unrefs.push('timer') } }],
    })
    return { unrefs }
  }

  test('does not keep the process alive by being probed', async () => {
    const pool = new Pool({ allowExitOnIdle: false })
    const { unrefs } = idle(pool)
    await check()
    expect(unrefs).toEqual(['timer', 'client'])
  })

  test('is left as it is while the app uses it, and for as long as its own idle time', async () => {
    const pool = new Pool({ allowExitOnIdle: false })
    const { unrefs } = idle(pool)
    pool.connect((_error, _client, release) => release?.())
    await check()
    await time.advance(9_999)
    await check()
    expect(unrefs).toEqual([])
    await time.advance(1)
    await check()
    expect(unrefs).toEqual(['timer', 'client'])
  })

  test('a pool that would never exit by itself, or cannot ref a client again, is not changed', async () => {
    for (const options of [{ allowExitOnIdle: false, idleTimeoutMillis: 0 }, {}]) {
      const { unrefs } = idle(new Pool(options))
      await check(found.length - 1)
      expect(unrefs).toEqual([])
    }
  })

  test('the death of a connection that only the probe kept open is nothing to the app', async () => {
    const pool = new Pool()
    await check()
    expect(() => pool.emit('error', new Error('terminating connection'), pool.client)).not.toThrow()
  })

  test('a library that looks whether its pool has a listener for errors found one, and did without its own', async () => {
    const pool = new Pool()
    await check()
    expect(pool.listenerCount('error')).toBe(0)
    expect(Object.keys(pool)).not.toContain('emit')
  })

  test('an error that the app would have got without the probe still comes to it', async () => {
    const pool = new Pool()
    pool.connect((_error, _client, release) => release?.())
    await check()
    const error = new Error('terminating connection')
    expect(() => pool.emit('error', error, pool.client)).toThrow(error)
    const heard: unknown[] = []
    pool.on('error', (e) => heard.push(e))
    pool.emit('error', error, pool.client)
    expect(heard).toEqual([error])
  })
})

const kept: FakePool[] = []
function probeOf(query: Query): FoundProbe {
  const pool = new Pool({ host: 'db.internal', user: 'shop', password: 'geheim' })
  pool.client.query = query
  kept.push(pool) // the probe itself does not keep it
  return found.at(-1)!.probe
}
probeConformance('postgresql', {
  well: () => probeOf(answer(WRITABLE)),
  sick: () => probeOf(refuse('28P01', 'password authentication failed for user "shop" at db.internal')),
  silent: () => probeOf(hang),
  secrets: ['db.internal', 'shop', 'geheim'],
})
