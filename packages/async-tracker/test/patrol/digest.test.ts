// What the patrol makes of events: states, places, counts.
import { describe, expect, test } from 'vitest'
import type { JournalEvent, RequestOutcome, TaskEvent } from '@afterspan/core/internal'
import { digest, requestKeyOf, type Batch } from '../../src/patrol/digest.ts'
import {
  answered,
  confirmed,
  failed,
  lost,
  ms,
  opened,
  OTHER_WORKER,
  requestRef,
  settledFailed,
  spanId,
  spawned,
  started,
  succeeded,
  TASK,
  taskIdOf,
  WEB,
  WORKER,
  workerRef,
} from '../sample-events.ts'
import { copyId } from '../../src/task-copies.ts'
import { Desk } from './desk.ts'

const KEY = requestKeyOf(requestRef())
const NO_HARM = { false_success: 0, recovered: 0 }
const retry = (at: number, span: number): TaskEvent => failed(at, span, { willRetry: true })

describe('what a request counts as', () => {
  test.for<[string, TaskEvent[], Record<string, number>]>([
    ['nothing yet, while its task is open', [], {}],
    ['kept, when its task is done', [succeeded(20, 1)], { ...NO_HARM, kept: 1 }],
    ['false success, when its task has failed', [failed(20, 1)], { ...NO_HARM, false_success: 1 }],
    ['nothing yet, while its task is tried again', [retry(20, 1)], {}],
    ['false success, when its task is lost', [lost(20, 1)], { ...NO_HARM, false_success: 1 }],
    ['both, when it is recovered', [lost(20, 1), started(30, 2), succeeded(40, 2)], { ...NO_HARM, kept: 1 }],
  ])('%s', async ([, then, expected]) => {
    const desk = new Desk()
    await desk.feed(WEB, spawned(1), confirmed(2), answered(3, 1))
    await desk.feed(WORKER, started(10, 1), ...then)
    expect(await desk.requests()).toEqual(expected)
    await desk.feed(WORKER, started(10, 1), ...then)
    expect(await desk.requests()).toEqual(expected)
  })

  test('false success comes with the first bad end; recovered when all is well after all; each once', async () => {
    const desk = new Desk()
    const [one, two] = [{ taskId: taskIdOf(1) }, { taskId: taskIdOf(2) }]
    await desk.feed(WEB, spawned(1, one), spawned(1, two), answered(3, 2))
    await desk.feed(WORKER, started(10, 1, one), started(10, 2, two), lost(20, 1, one))
    expect(await desk.requests()).toEqual({ ...NO_HARM, false_success: 1 })
    await desk.feed(WORKER, lost(21, 2, two))
    expect(await desk.requests()).toEqual({ ...NO_HARM, false_success: 1 })
    await desk.feed(WORKER, started(30, 3, one), succeeded(31, 3, one))
    expect(await desk.requests()).toEqual({ ...NO_HARM, false_success: 1 })
    await desk.feed(WORKER, started(30, 4, two))
    expect(await desk.requests()).toEqual({ ...NO_HARM, false_success: 1 })
    await desk.feed(WORKER, succeeded(41, 4, two))
    expect(await desk.requests()).toEqual({ false_success: 1, recovered: 1 })
    await desk.feed(WORKER, started(50, 5, one), succeeded(51, 5, one))
    expect(await desk.requests()).toEqual({ false_success: 1, recovered: 1 })
  })

  test.for<[number, RequestOutcome, string]>([
    [500, 'sent', 'failed'],
    [404, 'sent', 'refused'],
    [202, 'aborted_by_client', 'abandoned'],
    [202, 'timed_out', 'failed'],
    [202, 'crashed', 'failed'],
  ])('%i, %s: %s, whatever becomes of its task', async ([status, outcome, word]) => {
    const desk = new Desk()
    await desk.feed(WEB, spawned(1), answered(3, 1, { status, outcome }))
    expect(await desk.requests()).toEqual({ ...NO_HARM, [word]: 1 })
    await desk.feed(WORKER, started(10, 1), failed(11, 1))
    expect(await desk.requests()).toEqual({ ...NO_HARM, [word]: 1 })
  })

  test('a request whose process died is failed, unless it had answered before', async () => {
    const desk = new Desk()
    await desk.feed(WEB, answered(5, 0, { outcome: 'crashed' }))
    expect(await desk.requests()).toEqual({ ...NO_HARM, failed: 1 })
    const other = new Desk()
    await other.feed(WEB, spawned(1), answered(3, 1))
    await other.feed(WEB, answered(5, 0, { outcome: 'crashed' }))
    expect(await other.requests()).toEqual({})
    expect((await other.ledger.requests([KEY])).get(KEY)?.answered?.outcome).toBe('sent')
  })

  test('the labels are the route and the method of the answer', async () => {
    const desk = new Desk()
    await desk.feed(WEB, spawned(1), answered(3, 1, { method: 'PUT', route: '/a/:id' }))
    const { counters } = await desk.feed(WORKER, started(10, 1), failed(11, 1))
    const labels = counters?.filter(({ name }) => name.includes('requests')).map((counter) => counter.labels)
    expect(labels).toContainEqual({ http_route: '/a/:id', http_request_method: 'PUT', outcome: 'false_success' })
  })

  test('of a fan-out the last one decides whether it was kept', async () => {
    const desk = new Desk()
    const tasks = Array.from({ length: 50 }, (_, n) => ({ taskId: taskIdOf(n) }))
    await desk.feed(WEB, ...tasks.map((task) => spawned(1, task)), answered(3, 50))
    for (const [n, task] of tasks.entries()) {
      expect(await desk.requests()).toEqual({})
      await desk.feed(WORKER, started(10, n, task), succeeded(11, n, task))
    }
    expect(await desk.requests()).toEqual({ ...NO_HARM, kept: 1 })
  })

  test('fewer tasks than it promised are known: nothing yet', async () => {
    const desk = new Desk()
    await desk.feed(WEB, spawned(1), answered(3, 2))
    await desk.feed(WORKER, started(10, 1), succeeded(11, 1))
    expect(await desk.requests()).toEqual({})
    const second = { taskId: taskIdOf(1) }
    await desk.feed(WEB, spawned(12, second))
    await desk.feed(WORKER, started(13, 2, second), succeeded(14, 2, second))
    expect(await desk.requests()).toEqual({ ...NO_HARM, kept: 1 })
  })
})

describe('work that is promised after the answer', () => {
  const late = (isCounted: boolean): TaskEvent =>
    spawned(10, { route: '/orders', late: { method: 'POST', status: 202, isCounted } })

  test.for<[boolean, TaskEvent, Record<string, number>]>([
    [true, succeeded(20, 1), {}],
    [true, failed(20, 1), { ...NO_HARM, false_success: 1 }],
    [false, succeeded(20, 1), { ...NO_HARM, kept: 1 }],
    [false, failed(20, 1), { ...NO_HARM, false_success: 1 }],
  ])('its process had counted the request: %s; then %j', async ([isCounted, end, expected]) => {
    for (const isOneBatch of [true, false]) {
      const desk = new Desk()
      if (isOneBatch) await desk.feed(WEB, late(isCounted), started(11, 1), end)
      else for (const event of [late(isCounted), started(11, 1), end]) await desk.feed(WEB, event)
      expect([isOneBatch, await desk.requests()]).toEqual([isOneBatch, expected])
    }
  })
  test.for<[object, string]>([
    [{ outcome: 'aborted_by_client' }, 'abandoned'],
    [{ outcome: 'aborted_by_server' }, 'failed'],
    [{ hasFailed: true }, 'failed'],
  ])('made a request kept that had ended otherwise: %j', async ([end, counted]) => {
    const as = { method: 'POST', status: 200, ...end }
    for (const last of [succeeded(20, 1), failed(20, 1)]) {
      const desk = new Desk()
      await desk.feed(WEB, spawned(10, { late: { ...as, isCounted: false } }), started(11, 1))
      await desk.feed(WEB, last)
      expect(await desk.requests()).toEqual({ ...NO_HARM, [counted]: 1 })
      const own = new Desk()
      await own.feed(WEB, spawned(10, { late: { ...as, isCounted: true } }), started(11, 1))
      await own.feed(WEB, last)
      expect(await own.requests()).toEqual({})
    }
  })
  test('a false success that its own process had counted as kept can be recovered', async () => {
    const desk = new Desk()
    await desk.feed(WEB, late(true), started(11, 1), lost(12, 1), started(13, 2), succeeded(14, 2))
    expect(await desk.requests()).toEqual({})
    const other = new Desk()
    await other.feed(WEB, late(true), started(11, 1), lost(12, 1))
    await other.feed(WEB, started(13, 2), succeeded(14, 2))
    expect(await other.requests()).toEqual({ false_success: 1, recovered: 1 })
  })
  test('a request that promised before its answer too is known by that', async () => {
    const desk = new Desk()
    await desk.feed(WEB, spawned(1), answered(3, 1, { status: 201 }))
    await desk.feed(WEB, spawned(10, { taskId: taskIdOf(1), late: { method: 'POST', status: 500, isCounted: false } }))
    expect((await desk.ledger.requests([KEY])).get(KEY)?.answered).toMatchObject({ promised: 1, status: 201 })
  })
})

describe('tasks of tasks', () => {
  const [parent, child, grandchild] = [TASK, taskIdOf(1), taskIdOf(2)]
  const family: readonly (readonly [string, JournalEvent])[] = [
    [WEB, spawned(1)],
    [WEB, answered(2, 1)],
    [WORKER, started(3, 1)],
    [WORKER, spawned(4, { taskId: child, parent, origin: requestRef(8) })],
    [WORKER, succeeded(5, 1)],
    [OTHER_WORKER, started(6, 2, { taskId: child })],
    [OTHER_WORKER, spawned(7, { taskId: grandchild, parent: child, origin: requestRef(9) })],
    [OTHER_WORKER, succeeded(8, 2, { taskId: child })],
    [OTHER_WORKER, started(9, 3, { taskId: grandchild })],
    [OTHER_WORKER, failed(10, 3, { taskId: grandchild })],
  ]
  async function familyAt(desk: Desk): Promise<unknown> {
    const places = [parent, child, grandchild].map(async (taskId) => {
      const row = await desk.task(taskId)
      return [row?.requestKey, row?.depth]
    })
    const orphans = (await desk.ledger.orphans()).size
    return { places: await Promise.all(places), orphans, requests: await desk.requests() }
  }
  const TOGETHER = {
    places: [
      [KEY, 0],
      [KEY, 1],
      [KEY, 2],
    ],
    orphans: 0,
    requests: { ...NO_HARM, false_success: 1 },
  }
  /** Each writer's events, in the order of the writers given. */
  function journals(...writers: string[]): Batch[] {
    return writers.map((by) => ({ by, events: family.filter(([writer]) => writer === by).map(([, event]) => event) }))
  }
  const ORDERS = [
    [WEB, WORKER, OTHER_WORKER],
    [WEB, OTHER_WORKER, WORKER],
    [WORKER, WEB, OTHER_WORKER],
    [WORKER, OTHER_WORKER, WEB],
    [OTHER_WORKER, WEB, WORKER],
    [OTHER_WORKER, WORKER, WEB],
  ]

  test.for(ORDERS)('belong to the request, in one batch, read in the order %s %s %s', async (order) => {
    const desk = new Desk()
    await desk.feedAll(journals(...order))
    expect(await familyAt(desk)).toEqual(TOGETHER)
  })
  test.for(ORDERS)('belong to the request, journal after journal, in the order %s %s %s', async (order) => {
    const desk = new Desk()
    for (const batch of journals(...order)) await desk.feedAll([batch])
    expect(await familyAt(desk)).toEqual(TOGETHER)
  })
  test.for(ORDERS)('belong to the request, event after event, in the order %s %s %s', async (order) => {
    const desk = new Desk()
    for (const { by, events } of journals(...order)) for (const event of events) await desk.feed(by, event)
    expect(await familyAt(desk)).toEqual(TOGETHER)
  })
  test('a task that was seen running first gets its place with its child in one batch', async () => {
    const desk = new Desk()
    await desk.feed(WORKER, started(3, 1))
    const born = spawned(4, { taskId: child, parent, origin: requestRef(8) })
    await desk.feedAll([
      { by: WORKER, events: [born] },
      { by: WEB, events: [spawned(1), answered(2, 1)] },
    ])
    expect(await desk.task(child)).toMatchObject({ requestKey: KEY, depth: 1 })
  })
  test('the child of one that gets its place in this very batch gets it too', async () => {
    const desk = new Desk()
    const born = (taskId: typeof child, above: typeof child): TaskEvent =>
      spawned(4, { taskId, parent: above, origin: requestRef(8) })
    await desk.feed(WORKER, born(child, parent))
    await desk.feedAll([
      { by: WEB, events: [spawned(1), answered(2, 1)] },
      { by: WORKER, events: [born(grandchild, child)] },
    ])
    expect(await desk.task(grandchild)).toMatchObject({ requestKey: KEY, depth: 2 })
    expect(await desk.ledger.orphans()).toEqual(new Map())
  })
  test('tasks that name each other as parents belong to nobody, and nothing hangs', async () => {
    const desk = new Desk()
    await desk.feed(WEB, spawned(1, { parent: child }), spawned(1, { taskId: child, parent: TASK }))
    await desk.feed(WEB, spawned(1, { taskId: grandchild, parent: grandchild }))
    for (const taskId of [TASK, child, grandchild]) expect(await desk.task(taskId)).not.toHaveProperty('requestKey')
    await desk.feed(WORKER, started(2, 1), succeeded(3, 1))
    expect(await desk.requests()).toEqual({})
  })
  test('a task that no request promised belongs to its own span', async () => {
    const desk = new Desk()
    const origin = { traceId: TASK.slice(0, 32), spanId: TASK.slice(32), sampled: true }
    await desk.feed(WEB, spawned(1, { origin }))
    await desk.feed(WORKER, started(2, 1), failed(3, 1))
    expect(await desk.task()).toMatchObject({ requestKey: TASK, depth: 0 })
    expect(await desk.requests()).toEqual({})
  })
})

describe('what is counted of tasks', () => {
  const BORN = { succeeded: 0, 'failed retries_exhausted': 0, 'lost process_killed': 0 }

  test('the common ends are born at 0 with the task, each end adds 1', async () => {
    const desk = new Desk()
    await desk.feed(WEB, spawned(1))
    expect(await desk.tasks()).toEqual(BORN)
    await desk.feed(WORKER, started(2, 1), retry(3, 1))
    expect(await desk.tasks()).toEqual(BORN)
    await desk.feed(WORKER, started(4, 2), failed(5, 2, { reason: 'retries_exhausted' }))
    expect(await desk.tasks()).toEqual({ ...BORN, 'failed retries_exhausted': 1 })
  })
  test('lost, then succeeded, counts as both; lost twice counts twice', async () => {
    const desk = new Desk()
    await desk.feed(WORKER, started(2, 1))
    await desk.feed(WORKER, lost(3, 1))
    await desk.feed(OTHER_WORKER, started(4, 2))
    await desk.feed(OTHER_WORKER, lost(5, 2))
    await desk.feed(OTHER_WORKER, started(6, 3), succeeded(7, 3))
    expect(await desk.tasks()).toEqual({ ...BORN, 'lost process_killed': 2, succeeded: 1 })
  })
  test('the same end from another source, or an earlier one that is read later, is no second end', async () => {
    const desk = new Desk()
    await desk.feed(WORKER, started(2, 1), failed(9, 1))
    await desk.feed(WEB, settledFailed(12))
    await desk.feed(OTHER_WORKER, settledFailed(5))
    expect((await desk.task())?.derived).toMatchObject({ state: 'failed', settledAt: 5 })
    expect(await desk.tasks()).toEqual({ ...BORN, 'failed rejected': 1 })
  })
  test('an event that is fed again counts nothing again', async () => {
    const desk = new Desk()
    const all = [spawned(1), started(2, 1), lost(3, 1), started(4, 2), failed(5, 2)]
    for (const event of all) await desk.feed(WORKER, event)
    const before = await desk.tasks()
    for (const event of all) await desk.feed(WORKER, event)
    await desk.feed(WORKER, ...all)
    expect(await desk.tasks()).toEqual(before)
  })
})

describe('processes', () => {
  test('are known from what they say of themselves; a later segment says nothing new', async () => {
    const desk = new Desk()
    await desk.feed(WORKER, opened(WORKER, 5))
    await desk.feed(WORKER, { ...opened(WORKER, 9), sdkVersion: 'other' })
    await desk.feed(WORKER, { kind: 'exiting', at: ms(10), code: 3 })
    expect(await desk.ledger.processes()).toEqual([
      {
        key: WORKER,
        worker: workerRef(WORKER),
        resource: { 'service.name': 'shop' },
        sdkVersion: '0.1.0',
        openedAt: 5,
        exiting: { kind: 'exiting', at: 10, code: 3 },
      },
    ])
  })
  test('last words of one that never said who it is are kept, for the name may come later', async () => {
    const desk = new Desk()
    await desk.feed(WORKER, { kind: 'exiting', at: ms(10), code: 3 })
    expect(await desk.ledger.processes()).toMatchObject([{ key: WORKER, worker: { pid: 0 }, exiting: { code: 3 } }])
    await desk.feed(WORKER, opened(WORKER))
    const { worker } = opened(WORKER)
    expect(await desk.ledger.processes()).toMatchObject([{ key: WORKER, worker, exiting: { code: 3 } }])
  })
})

describe('the decision', () => {
  const batches: Batch[] = [
    { by: WEB, events: [opened(WEB), spawned(1), answered(2, 1), spawned(3, { taskId: taskIdOf(1), parent: TASK })] },
    { by: WORKER, events: [opened(WORKER), started(4, 1), failed(5, 1), started(5, 2, { taskId: taskIdOf(1) })] },
  ]
  test('is the same when it is made again, and touches nothing that it is given', async () => {
    const desk = new Desk()
    await desk.feed(WEB, spawned(1), confirmed(2))
    const known = await desk.knownOf(batches)
    const before = structuredClone({ batches, known })
    const first = digest(batches, known)
    expect(digest(batches, known)).toEqual(first)
    expect({ batches, known }).toEqual(before)
    const bodies = digest(batches, { ...known, now: ms(99_999) }).outbox?.map(({ body }) => body)
    expect(bodies).toEqual(first.outbox?.map(({ body }) => body))
    expect(bodies).toHaveLength(1)
  })
  test('does not depend on where the batches are cut', async () => {
    const whole = new Desk()
    await whole.feedAll(batches)
    const pieces = new Desk()
    for (const { by, events } of batches) for (const event of events) await pieces.feed(by, event)
    for (const desk of [whole, pieces]) expect(await desk.requests()).toEqual({ ...NO_HARM, false_success: 1 })
    for (const taskId of [TASK, taskIdOf(1)]) expect(await pieces.task(taskId)).toEqual(await whole.task(taskId))
    expect(await pieces.spans()).toEqual(await whole.spans())
  })
  test('skips what a later version has written, and keeps the rest', async () => {
    const desk = new Desk()
    const later = [
      { kind: 'paused', taskId: taskIdOf(5), at: ms(2) },
      { kind: 'paused', taskId: TASK, at: ms(2) },
      { kind: 'measured', at: ms(2), value: 1 },
      { kind: 'constructor', at: ms(2) },
    ] as never as JournalEvent[]
    await desk.feed(WEB, opened(WEB), spawned(1), ...later, confirmed(3))
    expect((await desk.task())?.derived.state).toBe('enqueued')
    expect(await desk.task(taskIdOf(5))).toBeUndefined()
    expect(Object.keys((await desk.ledger.processes())[0]!)).not.toContain('measured')
  })
})

describe('a message that several readers get', () => {
  const [MAIL, STOCK] = [{ reader: 'mail' }, { reader: 'stock' }]
  const STOCK_TASK = copyId(TASK, 'stock')
  const sentAndRead = async (): Promise<Desk> => {
    const desk = new Desk()
    await desk.feed(WEB, spawned(1), confirmed(2), answered(3, 1))
    await desk.feed(WORKER, started(10, 1, MAIL))
    return desk
  }

  test('is a task for each, beside one another: what one makes of it hides nothing of the other', async () => {
    const desk = await sentAndRead()
    await desk.feed(OTHER_WORKER, started(11, 2, STOCK))
    await desk.feed(WORKER, succeeded(12, 1))
    const [own, copy] = [await desk.task(), await desk.task(STOCK_TASK)]
    expect(own).toMatchObject({ derived: { state: 'succeeded', duplicate: false }, facts: { reader: 'mail' } })
    expect(copy).toMatchObject({
      derived: { state: 'running', duplicate: false },
      facts: { reader: 'stock', copyOf: TASK, attempts: [{ spanId: spanId(2) }] },
      depth: 0,
      requestKey: KEY,
    })
    expect(await desk.requests()).toEqual({})
    await desk.feed(OTHER_WORKER, failed(13, 2))
    expect((await desk.task(STOCK_TASK))?.derived).toMatchObject({ state: 'failed', reason: 'rejected' })
    expect(await desk.requests()).toEqual({ ...NO_HARM, false_success: 1 })
  })

  test('and that one of them loses is lost for that one, and recovered for that one', async () => {
    const desk = await sentAndRead()
    await desk.feed(WORKER, succeeded(12, 1))
    expect(await desk.requests()).toEqual({ ...NO_HARM, kept: 1 })
    await desk.feed(OTHER_WORKER, started(20, 2, STOCK))
    await desk.feed('patrol', lost(21, 2))
    expect((await desk.task())?.derived.state).toBe('succeeded')
    expect((await desk.task(STOCK_TASK))?.derived.state).toBe('lost')
    expect(await desk.requests()).toEqual({ ...NO_HARM, kept: 1, false_success: 1 })
    await desk.feed(OTHER_WORKER, started(30, 3, STOCK), succeeded(31, 3))
    expect((await desk.task(STOCK_TASK))?.derived).toMatchObject({ state: 'succeeded', recovered: true })
    expect(await desk.requests()).toEqual({ kept: 1, false_success: 1, recovered: 1 })
  })

  test('is counted once for each of them, however often it is read', async () => {
    const desk = await sentAndRead()
    for (let i = 0; i < 2; i++) {
      await desk.feed(OTHER_WORKER, started(11, 2, STOCK), succeeded(12, 2))
      await desk.feed(WORKER, started(10, 1, MAIL), succeeded(13, 1))
    }
    expect(await desk.tasks()).toMatchObject({ succeeded: 2 })
  })

  test('ends by the broker’s word for the reader that it names alone', async () => {
    const desk = await sentAndRead()
    await desk.feed(OTHER_WORKER, settledFailed(11, STOCK))
    expect((await desk.task())?.derived.state).toBe('running')
    expect((await desk.task(STOCK_TASK))?.derived).toMatchObject({ state: 'failed', reason: 'dead_lettered' })
  })

  test('is known by its name and request also where the sender is read last', async () => {
    const desk = new Desk()
    await desk.feed(WORKER, started(10, 1, MAIL), succeeded(11, 1))
    await desk.feed(OTHER_WORKER, started(10, 2, STOCK), failed(11, 2))
    await desk.feed(WEB, spawned(1, { route: '/orders' }), confirmed(2), answered(3, 1))
    expect(await desk.task(STOCK_TASK)).toMatchObject({
      requestKey: KEY,
      facts: { description: { destination: 'fulfil' }, spawned: { route: '/orders' } },
    })
    expect(await desk.requests()).toEqual({ ...NO_HARM, false_success: 1 })
  })
})
