// What every ledger must do, whatever it is made of.
import { expect, test } from 'vitest'
import { TASK_STATES, type EpochMs } from '@afterspan/core/internal'
import type { LedgerStore } from '../../src/ledger/store.ts'
import { messageOfFacts } from '../../src/message-key.ts'
import {
  confirmed,
  failed,
  lost,
  ms,
  OTHER_WORKER,
  released,
  sent,
  requestRef,
  settledCancelled,
  spanId,
  spawned,
  strayIdOf,
  started,
  succeeded,
  taskIdOf,
  tell,
  WEB,
  WORKER,
} from '../sample-events.ts'
import { idsOf, NEVER, outboxRow, processRow, requestRow, taskOf, taskRow } from './rows.ts'

export interface LedgerUnderTest {
  readonly store: LedgerStore
  /** The same ledger, as another patrol finds it; `store` is closed by then. */
  readonly reopen: () => Promise<LedgerStore>
}
/** A new, empty, open ledger. */
export type CreateLedger = () => Promise<LedgerUnderTest>

/** Everything at once, to see what of it is there. */
const EVERYTHING = {
  tasks: [
    taskOf(1, 0, 10),
    taskRow(tell(WEB, spawned(11, { taskId: taskIdOf(1), parent: taskIdOf(9) })), { depth: 1 }),
  ],
  requests: [requestRow(1, 12)],
  processes: [processRow(WEB), processRow(WORKER, { deadAt: ms(99) })],
  segments: [{ file: 'a', offset: 17 }],
  outbox: [outboxRow(spanId(1), 5)],
  counters: [{ name: 'c', labels: { a: '1' }, value: 2 }],
}

async function everythingIn(store: LedgerStore): Promise<unknown> {
  return {
    tasks: (await store.find({ limit: 100 })).toReversed(),
    requests: [...(await store.requests([requestRow(1, 0).key])).values()],
    processes: (await store.processes()).toSorted((a, b) => (a.key < b.key ? -1 : 1)),
    segments: [...(await store.segments())].map(([file, offset]) => ({ file, offset })),
    outbox: (await store.dueOutbox(ms(1e9), 100)).map((row) => ({ ...row, body: Uint8Array.from(row.body) })),
    counters: await store.counters(),
  }
}

export function aLedgerKeeps(create: CreateLedger): void {
  test('all of a change, also for the next patrol', async () => {
    const { store, reopen } = await create()
    await store.commit(EVERYTHING)
    expect(await everythingIn(store)).toEqual(EVERYTHING)
    await store.close()
    const again = await reopen()
    expect(await everythingIn(again)).toEqual(EVERYTHING)
    await again.close()
  })

  test('nothing of a change that fails, and goes on from there', async () => {
    const { store } = await create()
    const before = await everythingIn(store)
    // Counters come last: all the rest is written by then.
    const bad = { ...EVERYTHING, counters: [...EVERYTHING.counters, { name: 'c', labels: {}, value: Symbol('no') }] }
    await expect(store.commit(bad as never)).rejects.toThrow(/symbol|bound/i)
    expect(await everythingIn(store)).toEqual(before)
    await store.commit(EVERYTHING)
    expect(await everythingIn(store)).toEqual(EVERYTHING)
    await store.close()
  })

  test('the last of what was written under a name', async () => {
    const { store } = await create()
    await store.commit(EVERYTHING)
    const done = taskOf(1, 0, 10, ...tell(WORKER, started(20, 1), succeeded(30, 1)))
    const counted = requestRow(1, 12, { counted: 'kept' })
    const dead = processRow(WEB, { deadAt: ms(5), exiting: { kind: 'exiting', at: ms(4), code: 1 } })
    await store.commit({ tasks: [done], requests: [counted], processes: [dead], segments: [{ file: 'a', offset: 18 }] })
    expect((await store.tasks([done.facts.taskId])).get(done.facts.taskId)).toEqual(done)
    expect((await store.requests([counted.key])).get(counted.key)).toEqual(counted)
    expect(await store.processes()).toContainEqual(dead)
    expect(await store.segments()).toEqual(new Map([['a', 18]]))
    await store.close()
  })

  test('who is not known to be dead, and the last of the dead; anybody by name', async () => {
    const { store } = await create()
    const dead = [3, 1, 2].map((n) => processRow(`${n}`.repeat(16) + '.0', { deadAt: ms(n) }))
    const living = [processRow(WEB), processRow(WORKER)]
    await store.commit({ processes: [...dead, ...living] })
    const keys = async (most?: number): Promise<string[]> =>
      (await store.processes(most)).map(({ key, deadAt }) => (deadAt === undefined ? key : String(deadAt)))
    expect(new Set(await keys(2))).toEqual(new Set([WEB, WORKER, '2', '3']))
    expect((await keys(2)).filter((key) => key.length === 1)).toEqual(['2', '3'])
    expect(new Set(await keys(0))).toEqual(new Set([WEB, WORKER]))
    expect(await keys()).toHaveLength(5)
    const named = await store.processesOf([WEB, dead[0]!.key, 'nobody.0'])
    expect(new Set(named.map(({ key }) => key))).toEqual(new Set([WEB, dead[0]!.key]))
    expect(await store.processesOf([])).toEqual([])
    await store.close()
  })

  test('nothing of what a change forgets', async () => {
    const { store } = await create()
    await store.commit(EVERYTHING)
    await store.commit({
      forgottenRequests: [requestRow(1, 0).key, 'unknown'],
      forgottenSegments: ['a', 'unknown'],
      deliveredSpans: [spanId(1), 'unknown'],
    })
    expect(await everythingIn(store)).toMatchObject({ requests: [], segments: [], outbox: [] })
    await store.close()
  })

  test('an empty change is none, opening and closing twice is harmless', async () => {
    const { store } = await create()
    await store.open()
    await store.commit({})
    expect(await store.countsByState()).toEqual(Object.fromEntries(TASK_STATES.map((state) => [state, 0])))
    await store.close()
    await store.close()
  })
}

export function aLedgerAnswers(create: CreateLedger): void {
  test('about any number of tasks and requests, and leaves out what it does not know', async () => {
    const { store } = await create()
    const tasks = Array.from({ length: 1_200 }, (_, n) => taskOf(n, 0, n))
    const requests = Array.from({ length: 1_200 }, (_, n) => requestRow(n, n))
    await store.commit({ tasks, requests })
    const ids = [...idsOf(tasks), taskIdOf(5, 99_999)]
    const keys = [...requests.map(({ key }) => key), 'unknown']
    expect([...(await store.tasks(ids)).keys()].sort()).toEqual(idsOf(tasks).sort())
    expect((await store.requests(keys)).size).toBe(1_200)
    expect(await store.tasksOfRequests(keys)).toHaveLength(1_200)
    expect(await store.tasks([])).toEqual(new Map())
    expect(await store.tasksOfRequests([])).toEqual([])
    await store.close()
  })

  test('in whose hands open tasks are, each once', async () => {
    const { store } = await create()
    const run = tell(WORKER, started(20, 1))
    await store.commit({
      tasks: [
        taskOf(1, 0, 1),
        taskOf(1, 1, 1, ...tell(WEB, confirmed(2))),
        taskOf(1, 2, 1, ...run),
        taskOf(1, 3, 1, ...run, ...tell(OTHER_WORKER, started(21, 2))),
        taskOf(1, 4, 1, ...run, ...tell(WORKER, failed(22, 1, { willRetry: true }))),
        taskOf(1, 5, 1, ...run, ...tell(WORKER, released(22, 1))),
        taskOf(1, 6, 1, ...run, ...tell(WORKER, succeeded(22, 1))),
        taskOf(1, 7, 1, ...run, ...tell('patrol', lost(22, 1)), ...tell(OTHER_WORKER, started(23, 2))),
      ],
    })
    const openOf = async (...keys: string[]): Promise<string[]> => [...(await store.openTasksOf(keys))].sort()
    const ids = (...tasks: number[]): string[] => tasks.map((task) => taskIdOf(task))
    expect(await openOf(WEB)).toEqual(ids(0))
    expect(await openOf(WORKER)).toEqual(ids(2, 3))
    expect(await openOf(OTHER_WORKER)).toEqual(ids(3, 7))
    expect(await openOf(WORKER, OTHER_WORKER, WEB)).toEqual(ids(0, 2, 3, 7))
    expect(await openOf()).toEqual([])
    await store.close()
  })

  test('which tasks wait for a parent that was not seen yet', async () => {
    const { store } = await create()
    const child = (task: number, parent: number): ReturnType<typeof taskRow> =>
      taskRow(tell(WEB, spawned(5, { taskId: taskIdOf(task), parent: taskIdOf(parent) })), { depth: 1 })
    await store.commit({ tasks: [child(1, 9), child(2, 9), child(3, 8), taskOf(1, 4, 5)] })
    const orphans = await store.orphans()
    expect([...orphans.keys()].sort()).toEqual([taskIdOf(8), taskIdOf(9)])
    expect([...orphans.get(taskIdOf(9))!].sort()).toEqual([taskIdOf(1), taskIdOf(2)])
    await store.commit({
      tasks: [
        { ...child(1, 9), requestKey: 'found' },
        { ...child(3, 8), requestKey: 'found' },
      ],
    })
    expect(await store.orphans()).toEqual(new Map([[taskIdOf(9), [taskIdOf(2)]]]))
    await store.close()
  })

  test('which tasks a message names, and which attempt was joined to which task', async () => {
    const { store } = await create()
    const description = { system: 'redis-streams', destination: 'orders', name: 'orders' }
    const found = (task: number, messageId: string): ReturnType<typeof taskRow> => {
      const taskId = taskIdOf(task)
      const send = [spawned(1, { taskId, ...description }), confirmed(2, { taskId, messageId, description })]
      return taskRow(tell(WEB, ...send))
    }
    const stray = (span: number): ReturnType<typeof taskRow> =>
      taskRow(tell(WORKER, started(3, span, { taskId: strayIdOf(span), messageId: '7-0', description })))
    const key = messageOfFacts(found(1, '7-0').facts)!
    const carrying = taskRow(
      tell(WEB, spawned(1, { taskId: taskIdOf(3) }), confirmed(2, { taskId: taskIdOf(3), messageId: '7-0' })),
    )
    await store.commit({ tasks: [found(1, '7-0'), found(2, '8-0'), stray(4), carrying] })
    const named = async (...keys: string[]): Promise<string[]> => idsOf(await store.tasksOfMessages(keys)).sort()
    expect(await named(key, 'unknown')).toEqual([taskIdOf(1), strayIdOf(4)].sort())
    expect(await named()).toEqual([])

    await store.commit({ tasks: [found(1, '7-0')], joined: [{ stray: strayIdOf(4), taskId: taskIdOf(1) }] })
    expect(await named(key)).toEqual([taskIdOf(1)])
    expect(await store.joined([strayIdOf(4), taskIdOf(1)])).toEqual(new Map([[strayIdOf(4), taskIdOf(1)]]))
    expect(await store.joined([])).toEqual(new Map())
    expect(await store.joinedFromTrace(strayIdOf(4).slice(0, 32))).toEqual([taskIdOf(1)])
    expect(await store.joinedFromTrace(taskIdOf(1).slice(0, 32))).toEqual([])
    await store.commit({ joined: [{ stray: strayIdOf(4), taskId: taskIdOf(2) }] })
    expect(await store.joined([strayIdOf(4)])).toEqual(new Map([[strayIdOf(4), taskIdOf(2)]]))
    await store.close()
  })

  test('which requests a trace has, the earliest first', async () => {
    const { store } = await create()
    const { traceId } = requestRef(1)
    const second = { ...requestRow(1, 30), key: `${traceId}ffff` }
    await store.commit({ requests: [requestRow(1, 40), second, requestRow(2, 10)] })
    expect(await store.requestsOfTrace(traceId)).toEqual([second, requestRow(1, 40)])
    expect(await store.requestsOfTrace(requestRef(3).traceId)).toEqual([])
    await store.close()
  })

  test('what is due to be told, the longest due first', async () => {
    const { store } = await create()
    const rows = [outboxRow(spanId(1), 30), outboxRow(spanId(2), 10), outboxRow(spanId(3), 20)]
    await store.commit({ outbox: rows })
    const due = async (now: number, limit = 10): Promise<string[]> =>
      (await store.dueOutbox(ms(now), limit)).map((row) => row.spanId)
    expect(await due(9)).toEqual([])
    expect(await due(20)).toEqual([spanId(2), spanId(3)])
    expect(await due(30, 2)).toEqual([spanId(2), spanId(3)])
    await store.close()
  })

  test('always the first bytes of a span, with the last of its tries', async () => {
    const { store } = await create()
    await store.commit({ outbox: [outboxRow(spanId(1), 10)] })
    const { taskId: _, ...request } = outboxRow(spanId(2), 10)
    await store.commit({
      outbox: [outboxRow(spanId(1), 50, { tries: 3, refusals: 2, body: Uint8Array.of(9) }), request],
    })
    const rows = await store.dueOutbox(ms(99), 10)
    expect(rows.map((row) => ({ ...row, body: [...row.body] }))).toEqual([
      { ...request, body: [1, 2, 3] },
      { ...outboxRow(spanId(1), 50, { tries: 3, refusals: 2 }), body: [1, 2, 3] },
    ])
    await store.close()
  })

  test('no more that is to be told than there is room for: what has waited longest goes', async () => {
    const { store } = await create()
    const tried = [0, 3, 1].map((tries, n) => outboxRow(spanId(n + 1), 10 * tries, { tries }))
    await store.commit({ outbox: tried })
    expect(await store.trimOutbox(9)).toBe(0)
    expect(await store.trimOutbox(7)).toBe(1)
    expect((await store.dueOutbox(ms(99), 10)).map((row) => row.spanId)).toEqual([spanId(1), spanId(3)])
    await store.close()
  })

  test('how much was counted, whatever the order of the labels', async () => {
    const { store } = await create()
    await store.commit({ counters: [{ name: 'c', labels: { a: '1', b: '2' }, value: 0 }] })
    expect(await store.counters()).toEqual([{ name: 'c', labels: { a: '1', b: '2' }, value: 0 }])
    await store.commit({
      counters: [
        { name: 'c', labels: { b: '2', a: '1' }, value: 2 },
        { name: 'c', labels: { a: '2', b: '1' }, value: 5 },
        { name: 'd', labels: {}, value: 7 },
      ],
    })
    await store.commit({ counters: [{ name: 'c', labels: { a: '1', b: '2' }, value: 1 }] })
    const counted = (await store.counters()).map(
      ({ name, labels, value }) => `${name} ${labels['a']} ${labels['b']} ${value}`,
    )
    expect(counted.sort()).toEqual(['c 1 2 3', 'c 2 1 5', 'd undefined undefined 7'])
    await store.close()
  })

  test('how many tasks are in each state', async () => {
    const { store } = await create()
    const done = tell(WORKER, started(2, 1), succeeded(3, 1))
    await store.commit({ tasks: [taskOf(1, 0, 1), taskOf(1, 1, 1, ...done), taskOf(1, 2, 1, ...done)] })
    expect(await store.countsByState()).toMatchObject({ pending: 1, succeeded: 2, failed: 0 })
    expect(await store.countsByState(['pending', 'enqueued', 'running', 'retrying'])).toMatchObject({
      pending: 1,
      succeeded: 0,
    })
    await store.close()
  })
}

export function aLedgerKnowsTheOldestOpen(create: CreateLedger): void {
  test('the open tasks that came first, a few of each state', async () => {
    const { store } = await create()
    const running = tell(WORKER, started(2, 1))
    const done = tell(WORKER, started(2, 1), succeeded(3, 1))
    await store.commit({ tasks: [taskOf(1, 0, 10), taskOf(1, 1, 11, ...done), taskOf(1, 2, 12, ...running)] })
    await store.commit({ tasks: [taskOf(1, 3, 13), taskOf(1, 4, 14), taskOf(1, 5, 15, ...running)] })
    const ages = async (limit: number, since?: EpochMs): Promise<number[]> =>
      (await store.oldestOpen(limit, since)).map(({ facts }) => Number(facts.spawned?.at)).sort((a, b) => a - b)
    expect(await ages(2)).toEqual([10, 12, 13, 15])
    expect(await ages(1)).toEqual([10, 12])
    // What runs is looked at however old it is.
    expect(await ages(2, ms(13))).toEqual([12, 13, 14, 15])
    await store.close()
  })
}

export function aLedgerFinds(create: CreateLedger): void {
  const done = tell(WORKER, started(2, 1), succeeded(3, 1))
  const bad = tell(WORKER, started(2, 1), failed(3, 1))
  const routed = taskRow(tell(WEB, spawned(40, { taskId: taskIdOf(3), route: '/own' })))
  // Promised in a trace of its own, by a request of another.
  const elsewhere = taskRow(tell(WEB, spawned(50, { taskId: taskIdOf(4, 77), origin: requestRef(8) })))
  const rows = [taskOf(1, 0, 10, ...done), taskOf(1, 1, 20, ...bad), taskOf(2, 0, 30), routed, elsewhere]
  const requests = [requestRow(1, 5), requestRow(2, 5, { answered: { ...requestRow(2, 5).answered!, route: '/two' } })]

  test.for<[string, Parameters<LedgerStore['find']>[0], number[]]>([
    ['all, newest first', { limit: 10 }, [4, 3, 2, 1, 0]],
    ['so many', { limit: 2 }, [4, 3]],
    ['of a trace', { traceId: requestRef(1).traceId, limit: 10 }, [3, 1, 0]],
    ['of the trace of its request, where its id is of another', { traceId: requestRef(8).traceId, limit: 10 }, [4]],
    ['not by the trace in its id, where its request is of another', { traceId: requestRef(77).traceId, limit: 10 }, []],
    ['of an unknown trace', { traceId: requestRef(9).traceId, limit: 10 }, []],
    ['in a state', { states: ['failed'], limit: 10 }, [1]],
    ['in one of several states', { states: ['failed', 'pending', 'lost'], limit: 10 }, [4, 3, 2, 1]],
    ['in any state', { states: [], limit: 10 }, [4, 3, 2, 1, 0]],
    ['by the route of the request', { route: '/two', limit: 10 }, [2]],
    ['by the route of the spawn', { route: '/own', limit: 10 }, [3]],
    ['since', { since: ms(20), limit: 10 }, [4, 3, 2, 1]],
    ['since long after', { since: ms(1e99), limit: 10 }, []],
    [
      'by all at once',
      { traceId: requestRef(1).traceId, states: ['failed'], route: '/orders', since: ms(15), limit: 5 },
      [1],
    ],
    ['nothing by what is no route', { route: "' OR 1=1 --", limit: 10 }, []],
    ['nothing by what is no trace', { traceId: "' OR 1=1 --", limit: 10 }, []],
  ])('%s', async ([, query, expected]) => {
    const { store } = await create()
    await store.commit({ tasks: rows, requests })
    expect(
      (await store.find(query)).map((row) => rows.findIndex(({ facts }) => facts.taskId === row.facts.taskId)),
    ).toEqual(expected)
    await store.close()
  })

  test('by the route of the request, whether the task or the answer was read first, and by its own before that', async () => {
    const { store } = await create()
    const own = taskRow(tell(WEB, spawned(3, { taskId: taskIdOf(2), route: '/own' })), {
      requestKey: requestRow(1, 0).key,
    })
    await store.commit({ tasks: [taskOf(1, 0, 1), own] })
    await store.commit({ requests: [requestRow(1, 5)] })
    await store.commit({ tasks: [taskOf(1, 1, 2)] })
    await store.commit({ tasks: [taskOf(1, 0, 1, ...done)] })
    const found = async (route: string): Promise<unknown> => idsOf(await store.find({ route, limit: 9 }))
    expect(await found('/orders')).toEqual([taskIdOf(1), taskIdOf(0)])
    expect(await found('/own')).toEqual([taskIdOf(2)])
    await store.close()
  })
}

export function aLedgerPrunes(create: CreateLedger): void {
  const ALL = 1e12
  const done = (at: number): ReturnType<typeof tell> => tell(WORKER, started(at, 1), succeeded(at, 1))
  const bad = (at: number): ReturnType<typeof tell> => tell(WORKER, started(at, 1), failed(at, 1))

  test('by age: what settled before, with the requests that have no task left, and the long dead', async () => {
    const { store } = await create()
    const old = processRow(WEB, { deadAt: ms(50) })
    const dead = processRow(WORKER, { deadAt: ms(150) })
    await store.commit({
      tasks: [
        taskOf(1, 0, 10, ...done(90)),
        taskOf(1, 1, 10, ...done(110)),
        taskOf(2, 0, 10, ...bad(90)),
        taskOf(3, 0, 10),
      ],
      requests: [requestRow(1, 10), requestRow(2, 10), requestRow(3, 10), requestRow(4, 10), requestRow(5, 110)],
      processes: [old, dead, processRow(OTHER_WORKER)],
    })
    expect(await store.prune({ before: ms(100), maxBytes: ALL })).toBe(2)
    expect(idsOf(await store.find({ limit: 9 })).sort()).toEqual([taskIdOf(1, 1), taskIdOf(0, 3)].sort())
    const keys = [1, 2, 3, 4, 5].map((n) => requestRow(n, 0).key)
    expect([...(await store.requests(keys)).keys()].sort()).toEqual([keys[0], keys[2], keys[4]])
    expect((await store.processes()).map(({ key }) => key).sort()).toEqual([WORKER, OTHER_WORKER].sort())
    expect(await store.prune({ before: ms(100), maxBytes: ALL })).toBe(0)
    await store.close()
  })

  test('by silence: what waits in nobody’s hands, counted as forgotten; not what is heard of, runs or is being sent', async () => {
    const { store } = await create()
    const waits = (at: number): ReturnType<typeof tell> => tell(WEB, confirmed(at))
    await store.commit({
      tasks: [
        taskOf(1, 0, 10, ...waits(90)),
        taskOf(1, 1, 10, ...waits(110)),
        taskOf(1, 2, 10),
        taskOf(2, 0, 10, ...waits(20), ...tell(WORKER, started(90, 1))),
        taskOf(2, 1, 10, ...waits(20), ...tell(WORKER, started(30, 1), failed(90, 1, { willRetry: true }))),
        taskOf(2, 2, 10, ...waits(20), ...tell(WORKER, started(30, 1), failed(110, 1, { willRetry: true }))),
        taskOf(3, 0, 10, ...tell(WEB, sent(90))),
      ],
      requests: [requestRow(1, 10), requestRow(2, 10), requestRow(3, 10)],
    })
    expect(await store.prune({ before: NEVER, maxBytes: ALL })).toBe(0)
    expect(await store.prune({ before: NEVER, unheardBefore: ms(100), maxBytes: ALL })).toBe(3)
    const left = [taskIdOf(1, 1), taskIdOf(2, 1), taskIdOf(0, 2), taskIdOf(2, 2)]
    expect(idsOf(await store.find({ limit: 9 })).sort()).toEqual(left.sort())
    const keys = [1, 2, 3].map((n) => requestRow(n, 0).key)
    expect([...(await store.requests(keys)).keys()].sort()).toEqual([keys[0], keys[1]])
    expect(await store.counters()).toEqual([
      { name: 'afterspan_tasks_forgotten', labels: { destination: 'fulfil', system: 'bullmq' }, value: 3 },
    ])
    await store.close()
  })

  test('by size: first what succeeded or was cancelled, the oldest first; then what waits, then what failed; never what is in hand', async () => {
    const { store } = await create()
    const many = <T>(count: number, make: (n: number) => T): T[] => Array.from({ length: count }, (_, n) => make(n))
    await store.commit({
      tasks: [
        ...many(2_500, (n) => taskOf(n, 0, 1_000 + n, ...(n % 2 ? done(9_000) : tell(WEB, settledCancelled(9_000))))),
        ...many(1_500, (n) => taskOf(n, 1, n, ...bad(9_000))),
        ...many(20, (n) => taskOf(n, 2, n)),
        ...many(500, (n) => taskOf(n, 3, n, ...tell(WEB, confirmed(9_000)))),
      ],
      requests: many(2_500, (n) => requestRow(n, 1)),
    })
    const left = async (): Promise<Record<string, number>> => ({ ...(await store.countsByState()) })
    let maxBytes = 64 * 1024 * 1024
    let removed = 0
    while (removed === 0) removed = await store.prune({ before: NEVER, maxBytes: (maxBytes *= 0.9) })
    const kept = await left()
    expect(kept).toMatchObject({ failed: 1_500, pending: 20, enqueued: 500 })
    expect(kept['succeeded']! + kept['cancelled']!).toBe(2_500 - removed)
    const oldest = (await store.find({ states: ['succeeded', 'cancelled'], limit: 9_999 })).at(-1)
    expect(oldest?.facts.spawned?.at).toBe(1_000 + removed)

    let rest = 0
    for (let some = Infinity; some > 0; rest += some) some = await store.prune({ before: NEVER, maxBytes: 0 })
    expect(rest).toBe(4_500 - removed)
    expect(await left()).toMatchObject({ succeeded: 0, cancelled: 0, failed: 0, pending: 20, enqueued: 0 })
    const keys = many(2_500, (n) => requestRow(n, 0).key)
    expect((await store.requests(keys)).size).toBe(20)
    await store.close()
  })
}
