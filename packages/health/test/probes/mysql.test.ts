import { channel } from 'node:diagnostics_channel'
import type { ProbeResult } from '@afterspan/core/internal'
import { beforeEach, describe, expect, test } from 'vitest'
import type { Asked, MysqlConnection, MysqlPool } from '../../src/probes/mysql-pool.ts'
import { mysqlHook } from '../../src/probes/mysql.ts'
import type { FoundProbe } from '../../src/registry.ts'
import { settled } from '../fake-time.ts'
import { probeConformance } from '../probe-conformance.ts'

type Done = (error: unknown, connection?: FakeConnection) => void
type Answer = (done: (error: unknown, rows?: unknown) => void) => void

const WRITABLE: Answer = (done) => done(null, [{ read_only: 0 }])
const READ_ONLY: Answer = (done) => done(null, [{ read_only: 1 }])
const SILENT: Answer = () => {}
const refuse =
  (errno: number, message: string): Answer =>
  (done) =>
    done(Object.assign(new Error(message), { errno }))

class FakeConnection implements MysqlConnection {
  readonly pool: FakePool
  end: 'released' | 'destroyed' | undefined
  isSocketOpen = true
  readonly stream = { destroy: () => void (this.isSocketOpen = false) }
  constructor(pool: FakePool) {
    this.pool = pool
  }
  _handshakePacket = { serverVersion: '8.4.0' }
  query({ sql }: Asked, done: (error: unknown, rows?: unknown) => void): void {
    this.pool.asked.push(sql)
    queueMicrotask(() => this.pool.answer(done))
  }
  release(): void {
    this.end = 'released'
  }
  destroy(): void {
    this.end = 'destroyed'
  }
}

/** As mysql2 has them, of whatever is in them now. */
function queueOf(all: () => unknown[]) {
  return {
    get length() {
      return all().length
    },
    get: (index: number) => all()[index],
    removeOne: (index: number) => all().splice(index, 1),
  }
}

/** A pool as mysql2's: getConnection is the base class's. */
class FakeBasePool {
  _closed = false
  answer: Answer = WRITABLE
  isFull = false
  isUnreachable = false
  readonly config: NonNullable<MysqlPool['config']>
  readonly asked: string[] = []
  readonly handedOut: FakeConnection[] = []
  readonly waiting: Done[] = []
  constructor(host = 'db.internal') {
    this.config = { connectionLimit: 1, connectionConfig: { host } }
  }
  readonly dialling: FakeConnection[] = []
  readonly _connectionQueue = queueOf(() => this.waiting)
  readonly _allConnections = queueOf(() => (this.isFull ? [undefined] : this.dialling))
  get _freeConnections() {
    return { length: 0 }
  }
  getConnection(done: Done): void {
    if (this.isUnreachable) this.dialling.push(new FakeConnection(this as FakePool))
    else if (this.isFull) this.waiting.push(done)
    else this.handOut(done)
  }
  handOut(done: Done): void {
    const connection = new FakeConnection(this as FakePool)
    this.handedOut.push(connection)
    queueMicrotask(() => done(null, connection))
  }
}
type FakePool = FakeBasePool

let found: { readonly probe: FoundProbe; readonly madeAt: string | undefined }[]
let rejected: string[]
let now: number
let Pool: typeof FakeBasePool

beforeEach(() => {
  now = 0
  found = []
  rejected = []
  // A class of its own for each test: the hook touches its prototype.
  class OwnBase extends FakeBasePool {
    override getConnection(done: Done): void {
      super.getConnection(done)
    }
  }
  Pool = class extends OwnBase {}
  const hook = mysqlHook(
    (probe, madeAt) => found.push({ probe, madeAt }),
    { monotonicMs: () => now },
    (why) => rejected.push(why),
  )
  hook.patch({ Pool }, { version: '3.24.6', format: 'commonjs' })
  hook.patch({ Pool }, { version: '3.24.6', format: 'module' })
})

const kept: FakePool[] = []
function used(answer: Answer, host?: string): { pool: FakePool; check(signal?: AbortSignal): Promise<ProbeResult> } {
  const pool = new Pool(host)
  pool.answer = answer
  pool.getConnection(() => {})
  pool.handedOut.length = 0
  kept.push(pool) // the probe itself does not keep it
  const { probe } = found.at(-1)!
  return { pool, check: (signal = new AbortController().signal) => probe.check(signal) }
}

describe('a pool', () => {
  test('is found by its first use, once, with the place of the use', () => {
    new Pool()
    expect(found).toEqual([])
    const { pool } = used(WRITABLE)
    pool.getConnection(() => {})
    expect(found).toHaveLength(1)
    expect(found[0]!.madeAt).toMatch(/mysql\.test\.ts:\d+$/)
  })

  test('more than twenty are said and left alone; one that is closed makes room', () => {
    const pools = Array.from({ length: 20 }, () => used(WRITABLE).pool)
    used(WRITABLE)
    expect([found.length, rejected.length]).toEqual([20, 1])
    pools[0]!._closed = true
    expect(found[0]!.probe.isGone()).toBe(true)
    used(WRITABLE)
    expect([found.length, rejected.length]).toEqual([21, 1])
  })

  test('its channel is let go with the first use', () => {
    const borrowed = channel('tracing:mysql2:pool:connect:start')
    borrowed.publish({})
    expect(borrowed.hasSubscribers).toBe(false)
  })
})

describe('a check', () => {
  test('gives a sound connection back, and destroys one that failed or hangs', async () => {
    const sound = used(WRITABLE)
    expect(await sound.check()).toMatchObject({ status: 'pass', observed: { max: { value: 1 } } })
    expect(sound.pool.handedOut.map(({ end }) => end)).toEqual(['released'])
    const failed = used(refuse(1053, 'Server shutdown in progress'))
    expect(await failed.check()).toMatchObject({ status: 'fail', code: 'connection_lost', cause: 'dependency' })
    expect(failed.pool.handedOut.map(({ end }) => end)).toEqual(['destroyed'])
    const silent = used(SILENT)
    const controller = new AbortController()
    const answer = silent.check(controller.signal)
    await settled()
    controller.abort()
    expect(await answer).toMatchObject({ status: 'fail', code: 'timeout' })
    expect(silent.pool.handedOut.map(({ end }) => end)).toEqual(['destroyed'])
  })

  test('that waits for a full pool gives its place up', async () => {
    const { pool, check } = used(WRITABLE)
    pool.isFull = true
    const controller = new AbortController()
    const answer = check(controller.signal)
    expect(pool.waiting).toHaveLength(1)
    controller.abort()
    expect(await answer).toMatchObject({ code: 'pool_exhausted', cause: 'self_recoverable' })
    expect(pool.waiting).toEqual([])
  })

  test('of a pool that cannot connect leaves no connection in the making', async () => {
    const { pool, check } = used(WRITABLE)
    pool.isUnreachable = true
    const controller = new AbortController()
    const answer = check(controller.signal)
    controller.abort()
    expect(await answer).toMatchObject({ code: 'timeout', cause: 'dependency' })
    expect(pool.dialling).toMatchObject([{ end: 'destroyed', isSocketOpen: false }])
  })

  test('gives back what comes after all', async () => {
    const { pool, check } = used(WRITABLE)
    pool.isFull = true
    const controller = new AbortController()
    const answer = check(controller.signal)
    const [done] = pool.waiting.splice(0)
    controller.abort()
    await answer
    pool.handOut(done!)
    await settled()
    expect(pool.handedOut.map(({ end }) => end)).toEqual(['released'])
  })

  test('of a server that turned read-only fails; a replica that was asked for passes', async () => {
    const turned = used(WRITABLE)
    await turned.check()
    turned.pool.answer = READ_ONLY
    expect(await turned.check()).toMatchObject({ status: 'fail', code: 'read_only' })
    // The other pool of this app writes elsewhere.
    expect(await used(READ_ONLY).check()).toMatchObject({ status: 'pass', observed: { role: { value: 'read_only' } } })
  })

  test('of a server that starts each transaction read-only fails', async () => {
    const { pool, check } = used((done) => done(null, [{ read_only: 0, session_read_only: 1 }]))
    expect(await check()).toMatchObject({ status: 'fail', code: 'read_only' })
    expect(pool.asked).toEqual([expect.stringContaining('@@session.transaction_read_only')])
  })

  test('of a server that knows no such variable asks plainly from then on, and is well', async () => {
    const { pool, check } = used(refuse(1193, "Unknown system variable 'transaction_read_only'"))
    expect(await check()).toMatchObject({ status: 'pass' })
    pool.answer = WRITABLE
    expect(await check()).toMatchObject({ status: 'pass' })
    expect(pool.asked.at(-1)).toBe('SELECT @@global.read_only AS read_only')
  })

  test.for([
    [1045, 'auth_failed'],
    [4151, 'auth_failed'],
    [3118, 'auth_failed'],
    [1040, 'too_many_connections'],
    [1205, 'lock_timeout'],
    [1114, 'disk_full'],
    [1044, 'no_permission'],
    [1290, 'read_only'],
    [9999, 'error'],
  ] as const)('refused with %i is %s', async ([errno, code]) => {
    expect(await used(refuse(errno, 'no')).check()).toMatchObject({ status: 'fail', code })
  })
})

test('a server that is read-only from the start fails where nothing says that it is a replica', async () => {
  expect(await used(READ_ONLY).check()).toMatchObject({ status: 'fail', code: 'read_only' })
  expect(await used(READ_ONLY, 'db-replica.internal').check()).toMatchObject({ status: 'pass' })
})

function probeOf(answer: Answer): FoundProbe {
  used(answer)
  return found.at(-1)!.probe
}
probeConformance('mysql', {
  well: () => probeOf(WRITABLE),
  sick: () => probeOf(refuse(1045, "Access denied for user 'shop'@'db.internal' (using password: YES)")),
  silent: () => probeOf(SILENT),
  secrets: ['shop', 'db.internal'],
})
