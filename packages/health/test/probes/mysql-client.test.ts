import type { ProbeResult } from '@afterspan/core/internal'
import { beforeEach, describe, expect, test } from 'vitest'
import { BareConnections, type BareConnection } from '../../src/probes/mysql-client.ts'
import type { Asked } from '../../src/probes/mysql-pool.ts'
import { NO_NEWS } from '../../src/refusals.ts'
import type { FoundProbe } from '../../src/registry.ts'
import { probeConformance } from '../probe-conformance.ts'

type Reply = (done: (error: unknown, rows?: unknown) => void) => void
const WRITABLE: Reply = (done) => done(null, [{ read_only: 0, session_read_only: 0 }])

/** As mysql2's: its first command is the handshake, added by its constructor. */
class FakeConnection implements BareConnection {
  readonly config = { host: 'db.internal', port: 3306, database: 'shop', user: 'web' }
  authorized = false
  _closing = false
  _fatalError: unknown
  _command: unknown
  _commands = { length: 0 }
  declare _handshakePacket?: { serverVersion: string }
  stream = { bytesRead: 0 }
  declare readonly release?: () => void
  reply = WRITABLE
  asked: string[] = []
  fail: (error: unknown) => void = () => {}
  constructor() {
    this.addCommand({ once: (_event: string, listener: (error: unknown) => void) => (this.fail = listener) })
  }
  addCommand(command: unknown): unknown {
    return command
  }
  query({ sql }: Asked, done: Parameters<Reply>[0]): void {
    this.asked.push(sql)
    queueMicrotask(() => this.reply(done))
  }
}

let found: { readonly probe: FoundProbe; readonly madeAt: string | undefined }[]
let now: number
let Connection: typeof FakeConnection
const kept: FakeConnection[] = []

beforeEach(() => {
  now = 0
  found = []
  // A class of its own for each test: its prototype is touched.
  class Own extends FakeConnection {
    override addCommand(command: unknown): unknown {
      return super.addCommand(command)
    }
  }
  Connection = Own
  const connections = new BareConnections({
    add: (probe, madeAt) => found.push({ probe, madeAt }),
    now: () => now,
    onRejected: () => {},
    refusals: NO_NEWS,
  })
  for (let i = 0; i < 2; i++) connections.watch(Connection)
})

function made(): FakeConnection {
  const connection = new Connection()
  kept.push(connection) // the probe itself does not keep it
  return connection
}
function connected(reply = WRITABLE): FakeConnection {
  const connection = made()
  return Object.assign(connection, { authorized: true, _handshakePacket: { serverVersion: '11.4.2-MariaDB' }, reply })
}
const check = (signal = new AbortController().signal): Promise<ProbeResult> => found[0]!.probe.check(signal)

describe('a connection that no pool has', () => {
  test('is found as it is made, one check for all of one database', async () => {
    connected().addCommand({})
    connected()
    expect(found).toMatchObject([{ madeAt: expect.stringMatching(/mysql-client\.test\.ts:\d+$/) }])
    expect(await check()).toMatchObject({ status: 'pass', observed: { clients: { value: 2 }, open: { value: 2 } } })
  })

  test('of a pool is none', () => {
    Object.defineProperty(Connection.prototype, 'release', { value() {} })
    made()
    expect(found).toEqual([])
  })

  test('is not asked while the app has something on its way, nor before it had its time to ask what that found', async () => {
    const connection = connected()
    connection._command = {}
    expect(await check()).toMatchObject({ status: 'pass', observed: { checked: { value: 'status' } } })
    connection._command = undefined
    expect(await check()).toMatchObject({ status: 'pass' })
    expect(connection.asked).toEqual([expect.stringContaining('@@session.tx_read_only')])
  })

  test('behind whose unanswered statement others wait is a timeout', async () => {
    const connection = connected()
    connection._command = {}
    connection._commands.length = 1
    expect(await check()).toMatchObject({ status: 'pass' })
    now = 1499
    connection.stream.bytesRead = 1
    expect(await check()).toMatchObject({ status: 'pass' })
    now = 2999
    expect(await check()).toMatchObject({ status: 'fail', code: 'timeout', cause: 'dependency' })
  })

  test('that is lost is told of until the app has another, and no more when that one is ended', async () => {
    const first = connected()
    first._fatalError = Object.assign(new Error('Connection lost: The server closed the connection.'), { fatal: true })
    first._closing = true
    expect(await check()).toMatchObject({ status: 'fail', code: 'connection_lost' })
    const second = connected()
    expect(await check()).toMatchObject({ status: 'pass' })
    second._closing = true
    expect(await check()).toMatchObject({ status: 'pass', observed: { clients: { value: 0 } } })
    expect(found[0]!.probe.isGone()).toBe(false)
    now = 60_000
    expect(found[0]!.probe.isGone()).toBe(true)
  })

  test('that could not be made says why', async () => {
    const connection = made()
    connection.fail(Object.assign(new Error("Access denied for user 'web'@'db.internal'"), { errno: 1045 }))
    connection._closing = true
    expect(await check()).toMatchObject({ status: 'fail', code: 'auth_failed' })
  })

  test('that is being made is waited for', async () => {
    const connection = made()
    const answer = check()
    connection.authorized = true
    expect(await answer).toMatchObject({ status: 'pass' })
    connection.authorized = false
    expect(await check(AbortSignal.abort())).toMatchObject({ status: 'fail', code: 'not_connected' })
  })
})

function probeOf(reply: Reply): FoundProbe {
  connected(reply)
  return found.at(-1)!.probe
}
probeConformance('mysql', {
  well: () => probeOf(WRITABLE),
  sick: () => probeOf((done) => done(Object.assign(new Error("Unknown database 'shop'"), { errno: 1049 }))),
  silent: () => probeOf(() => {}),
  secrets: ['shop', 'db.internal'],
})
