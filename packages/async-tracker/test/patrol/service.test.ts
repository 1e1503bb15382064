// The patrol as a service: on the real disk, with real locks and sockets, under a clock of the test's own.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import type { JournalEvent, OtlpSettings, Receipt } from '@afterspan/core/internal'
import { journalDir, segmentFile } from '../../src/journal/segment.ts'
import { isLocalFolder } from '../../src/patrol/local-folder.ts'
import { createPatrolLock } from '../../src/patrol/lock.ts'
import { PatrolService } from '../../src/patrol/service.ts'
import { askPatrol } from '../../src/query/socket.ts'
import { keyOf, ownWorkerRef } from '../../src/worker-ref.ts'
import { fakeClock, type FakeClock } from '../../../testing/src/fake-clock.ts'
import { deferred } from '../../../testing/src/signals.ts'
import { tempDir } from '../../../testing/src/temp-dir.ts'
import { holdDoor } from '../door-holder.ts'
import { recordOf } from '../journal/bytes.ts'
import {
  confirmed,
  failed,
  opened,
  requestRef,
  spawned,
  started,
  succeeded,
  TASK,
  taskIdOf,
  WORKER,
} from '../sample-events.ts'

const services: PatrolService[] = []
afterEach(async () => {
  for (const service of services.splice(0)) await service.stop()
})

interface Bundle {
  readonly dir: string
  readonly clock: FakeClock
  readonly said: string[]
  readonly service: PatrolService
}
function setUp(dir = tempDir('service'), otlp?: OtlpSettings): Bundle {
  const clock = fakeClock()
  const said: string[] = []
  const settings = { dir, otlp, serviceName: 'shop', retentionDays: 14, openDays: 30, maxBytes: 1e9 }
  const service = new PatrolService(settings, clock, (code, message) => said.push(`${code}: ${message}`))
  services.push(service)
  return { dir, clock, said, service }
}
function write(dir: string, key: string, ...events: readonly JournalEvent[]): void {
  mkdirSync(journalDir(dir), { recursive: true })
  appendFileSync(join(journalDir(dir), segmentFile({ key, number: 1 })), Buffer.concat(events.map(recordOf)))
}
async function receipt(dir: string): Promise<Receipt | undefined> {
  const answer = await askPatrol(dir, `/receipt/${requestRef().traceId}`)
  return answer?.status === 200 ? (answer.body as Receipt) : undefined
}

test('it takes the lock, reads the journals, and answers on its socket', async () => {
  const { dir, clock, said, service } = setUp()
  write(dir, WORKER, opened(WORKER), spawned(1), started(2, 1))
  expect(service.patrol).toBeUndefined()
  service.start()
  await clock.advance(250)
  expect(await receipt(dir)).toMatchObject({ verdict: 'open', tasks: [{ taskId: TASK, state: 'running' }] })
  write(dir, WORKER, succeeded(3, 1))
  await clock.advance(250)
  expect(await receipt(dir)).toMatchObject({ verdict: 'kept' })
  expect(said).toEqual([])
})

test('a process that is dead is found by its start time, by the real look', async () => {
  const { dir, clock, service } = setUp()
  const own = ownWorkerRef('shop')
  const dead = { ...own, nonce: '00000000000000d0', threadId: 0, startTicks: own.startTicks + 1 }
  const alive = { ...own, nonce: '00000000000000e0', threadId: 0 }
  for (const [n, worker] of [dead, alive].entries()) {
    const task = { taskId: taskIdOf(n) }
    write(dir, keyOf(worker), { ...opened(WORKER), worker }, spawned(1 + n, task), started(2 + n, n, task))
  }
  service.start()
  await clock.advance(250)
  const tasks = (await receipt(dir))?.tasks.map(({ taskId, state, reason }) => [taskId, state, reason])
  expect(tasks).toEqual([
    [taskIdOf(0), 'lost', 'process_killed'],
    [taskIdOf(1), 'running', undefined],
  ])
})

test.skipIf(!isLocalFolder(tmpdir()))(
  'who ran on another machine had open work for ever where the volume was moved here; who is in a container with a boot id of its own lives',
  async () => {
    const { dir, clock, service } = setUp()
    const [moved, contained] = ['00000000000000d0.0', '00000000000000e0.0'] as const
    for (const [n, key] of [moved, contained].entries()) {
      const task = { taskId: taskIdOf(n) }
      write(dir, key, opened(key), spawned(1 + n, task), started(2 + n, n, task))
    }
    const [gone, living] = [await holdDoor(dir, moved), await holdDoor(dir, contained)]
    gone.kill('SIGKILL')
    await once(gone, 'exit')
    service.start()
    await clock.advance(250)
    await service.tick(Infinity)
    const tasks = (await receipt(dir))?.tasks.map(({ state, reason }) => [state, reason])
    living.kill('SIGKILL')
    expect(tasks).toEqual([
      ['lost', 'process_killed'],
      ['running', undefined],
    ])
  },
)

test('what nobody tells the end of was open, and in the ledger, for ever', async () => {
  const { dir, clock, service } = setUp()
  const DAY = 86_400_000
  const events = [1, 31, 43, 45].flatMap((days, n) => {
    const [at, task] = [clock.now() - days * DAY, { taskId: taskIdOf(n) }]
    return [spawned(at, task), confirmed(at + 1, task)]
  })
  write(dir, WORKER, opened(WORKER), ...events)
  const found = async (): Promise<unknown> =>
    (await receipt(dir))?.tasks.map(({ taskId, state, flags }) => [taskId, state, flags.unheard])
  await service.tick()
  await clock.advance(60_000)
  await service.tick()
  expect(await found()).toEqual([
    [taskIdOf(2), 'enqueued', true],
    [taskIdOf(1), 'enqueued', true],
    [taskIdOf(0), 'enqueued', false],
  ])
  expect(await service.ask('/standing', new URLSearchParams())).toMatchObject({
    body: { open: 3, oldestOpenMs: DAY + 60_000 },
  })
  // Whoever runs it after all is heard.
  const late = { taskId: taskIdOf(2) }
  write(dir, WORKER, started(clock.now(), 1, late), succeeded(clock.now(), 1, late))
  await service.tick()
  expect(await found()).toContainEqual([taskIdOf(2), 'succeeded', false])
})

describe('of two in one folder', () => {
  test('one patrols; the other takes over when it stops', async () => {
    const first = setUp()
    const second = setUp(first.dir)
    expect(await first.service.tick()).toBeDefined()
    for (let n = 0; n < 5; n++) {
      await second.clock.advance(500)
      expect(await second.service.tick()).toBeUndefined()
    }
    expect([second.service.patrol, second.service.ledger]).toEqual([undefined, undefined])
    expect(await second.service.ask('/tasks', new URLSearchParams())).toMatchObject({ status: 503 })
    await first.service.stop()
    await second.clock.advance(500)
    expect(await second.service.tick()).toBeDefined()
    expect((await askPatrol(first.dir, '/tasks'))?.status).toBe(200)
    expect([first.said, second.said]).toEqual([[], []])
  })
  test('the lock of one that was killed is free', async () => {
    const dir = tempDir('service')
    const script = `
      const db = new (require('node:sqlite').DatabaseSync)(${JSON.stringify(join(dir, 'patrol.lock'))})
      db.exec('BEGIN EXCLUSIVE'); console.log('held'); setInterval(() => {}, 1_000)`
    const child = spawn(process.execPath, ['--no-warnings', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    const { service, clock } = setUp(dir)
    expect(await service.tick()).toBeUndefined()
    child.kill('SIGKILL')
    await once(child, 'exit')
    await clock.advance(500)
    expect(await service.tick()).toBeDefined()
  })
  test('a lock is taken once, held until released, and released without harm twice', () => {
    const dir = tempDir('service')
    const [one, two] = [createPatrolLock(dir), createPatrolLock(dir)]
    expect([one.tryTake(), one.tryTake(), two.tryTake()]).toEqual([true, true, false])
    one.release()
    one.release()
    expect([two.tryTake(), one.tryTake()]).toEqual([true, false])
    two.release()
    one.release()
    expect(() => createPatrolLock(join(dir, 'missing')).tryTake()).toThrow('unable to open')
  })
  test('a lock file that somebody has written to is made anew, unless it is held', () => {
    const dir = tempDir('service')
    const file = join(dir, 'patrol.lock')
    writeFileSync(file, 'no database'.repeat(1_000))
    const [one, two] = [createPatrolLock(dir), createPatrolLock(dir)]
    expect(one.tryTake()).toBe(false)
    expect([one.tryTake(), one.isGood()]).toEqual([true, true])
    // By another process: a close of the file in this one would let the lock go.
    execFileSync(process.execPath, ['-e', `fs.writeFileSync(${JSON.stringify(file)}, 'no database'.repeat(1_000))`])
    expect([two.tryTake(), two.tryTake(), one.isGood()]).toEqual([false, false, true])
    one.release()
    expect([two.tryTake(), two.tryTake()]).toEqual([false, true])
    two.release()
  })
})

describe('stopping', () => {
  test('twice, or without a start, is harmless; and it may start again', async () => {
    const { dir, clock, said, service } = setUp()
    await service.stop()
    await service.stop()
    service.start()
    await clock.advance(250)
    await service.stop()
    await service.stop()
    expect(await askPatrol(dir, '/tasks')).toBeUndefined()
    service.start()
    await clock.advance(500)
    expect((await askPatrol(dir, '/tasks'))?.status).toBe(200)
    expect(said).toEqual([])
  })
  test('while the collector has not answered yet is no failure; what was sent is sent again', async () => {
    const asked = deferred<ServerResponse>()
    let bodies = 0
    const collector = createServer((request, response) => {
      request.resume().on('end', () => {
        bodies++
        asked.resolve(response)
        if (bodies > 1) response.end()
      })
    })
    collector.listen(0, '127.0.0.1')
    await once(collector, 'listening')
    const url = `http://127.0.0.1:${(collector.address() as AddressInfo).port}/v1/traces`
    const otlp: OtlpSettings = { url, headers: {}, timeoutMs: 60_000, compression: 'none' }
    const first = setUp(undefined, otlp)
    write(first.dir, WORKER, opened(WORKER), started(2, 1), failed(3, 1))
    const sweep = first.service.tick(Infinity) // on a busy machine its patience may be over before this test goes on
    const response = await asked.promise
    await first.service.stop()
    response.end()
    expect(await sweep).toBeUndefined()
    expect(first.said).toEqual([])
    const second = setUp(first.dir, otlp)
    expect(await second.service.tick()).toMatchObject({ reported: 1 })
    collector.closeAllConnections()
    collector.close()
  })
  test.for([0, 1, 2, 3, 4, 5, 6, 8, 10, 15])(
    'while it takes over, after %i turns, leaves nothing behind',
    async (turns) => {
      const { dir, said, service } = setUp()
      const sweep = service.tick()
      for (let n = 0; n < turns; n++) await Promise.resolve()
      await service.stop()
      expect(await sweep).toBeUndefined()
      expect([service.patrol, await askPatrol(dir, '/tasks')]).toEqual([undefined, undefined])
      const heir = setUp(dir)
      expect(await heir.service.tick()).toBeDefined()
      expect([...said, ...heir.said]).toEqual([])
    },
  )
})

describe('a ledger that cannot be used', () => {
  test('is set aside when damage shows in use, and built again from the journals that are there', async () => {
    const first = setUp()
    const many = Array.from({ length: 3_000 }, (_, n) => spawned(n, { taskId: taskIdOf(n) }))
    write(first.dir, WORKER, opened(WORKER), ...many)
    await first.service.tick()
    await first.service.stop()
    const file = join(first.dir, 'ledger.db')
    const bytes = readFileSync(file)
    writeFileSync(file, bytes.fill(0x41, 4 * 4096))

    const { dir, clock, said, service } = setUp(first.dir)
    write(dir, WORKER, started(9_000, 1))
    service.start()
    await clock.advance(3_000)
    expect(said).toContainEqual(
      expect.stringMatching(/^AFS_LEDGER_FAILED: the ledger was damaged; it is kept as .*damaged/),
    )
    expect(readdirSync(dir).filter((name) => name.startsWith('ledger.db.damaged'))).toHaveLength(1)
    expect(await receipt(dir)).toMatchObject({ verdict: 'open' })
    expect(await service.ledger?.countsByState()).toMatchObject({ running: 1, pending: 2_999 })
    const before = said.length
    await clock.advance(3_000)
    expect(said).toHaveLength(before)
  })
  test('since it is of a newer version: it is said, left alone, and taken once it is one of ours', async () => {
    const dir = tempDir('service')
    const { DatabaseSync } = process.getBuiltinModule('node:sqlite')
    const newer = new DatabaseSync(join(dir, 'ledger.db'))
    newer.exec('PRAGMA user_version = 999')
    newer.close()
    const { clock, said, service } = setUp(dir)
    service.start()
    await clock.advance(1_000)
    expect(said[0]).toMatch(/^AFS_PATROL_FAILED: .*newer version \(999\)/)
    expect(existsSync(join(dir, 'ledger.db'))).toBe(true)
    const older = new DatabaseSync(join(dir, 'ledger.db'))
    older.exec('PRAGMA user_version = 0')
    older.close()
    const before = said.length
    await clock.advance(1_000)
    expect(said).toHaveLength(before)
    expect((await askPatrol(dir, '/tasks'))?.status).toBe(200)
  })
})

test('settled tasks are removed once they are older than they are kept for, by an hour at most', async () => {
  const { dir, clock, service } = setUp()
  const now = clock.now()
  write(dir, WORKER, opened(WORKER), spawned(now), started(now, 1), succeeded(now, 1))
  await service.tick()
  const days = async (count: number): Promise<unknown> => {
    await clock.advance(count * 86_400_000)
    await service.tick()
    return (await receipt(dir))?.verdict
  }
  expect(await days(13.9)).toBe('kept')
  expect(await days(0.2)).toBe('unknown')
})
