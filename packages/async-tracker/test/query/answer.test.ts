import { readFileSync } from 'node:fs'
import { beforeAll, afterAll, describe, expect, test } from 'vitest'
import { TASK_STATES, type Receipt } from '@afterspan/core/internal'
import { createSqliteLedger } from '../../src/ledger/sqlite.ts'
import type { LedgerStore } from '../../src/ledger/store.ts'
import { answer, toFlatRow, type Answer, type FlatTask } from '../../src/query/answer.ts'
import { makeReceipt, type RecordSource } from '../../src/receipt.ts'
import { tempDir } from '../../../testing/src/temp-dir.ts'
import { idsOf, requestRow, taskOf } from '../ledger/rows.ts'
import {
  answered,
  confirmed,
  failed,
  hex,
  lost,
  ms,
  requestRef,
  started,
  strayIdOf,
  succeeded,
  taskIdOf,
  tell,
  WEB,
  WORKER,
  workerRef,
} from '../sample-events.ts'

let ledger: LedgerStore
let source: RecordSource
const TRACE = requestRef(1).traceId
const done = tell(WORKER, started(20, 1, { attempt: 1 }), succeeded(30, 1))
const dead = [...tell(WORKER, started(20, 1)), ...tell('patrol', lost(30, 1, { exitCode: 137, signal: 'SIGKILL' }))]
const bad = tell(WORKER, started(20, 1), failed(25, 1, { willRetry: true }), started(26, 2), failed(30, 2))

beforeAll(async () => {
  ledger = createSqliteLedger(tempDir('answer'))
  await ledger.open()
  await ledger.commit({
    tasks: [
      taskOf(1, 0, 10, ...done),
      taskOf(1, 1, 11, ...dead),
      taskOf(1, 2, 12, ...bad),
      taskOf(2, 0, 13, ...tell(WEB, confirmed(14))),
      taskOf(3, 0, 15, ...done),
    ],
    requests: [requestRow(1, 16), requestRow(2, 17), requestRow(3, 18), requestRow(4, 19)],
  })
  source = {
    ledger,
    now: () => ms(1_000),
    processes: async () => new Map([[WORKER, { worker: workerRef(WORKER) }]]),
    isStalled: () => false,
  }
})
afterAll(() => ledger.close())

function ask(address: string): Promise<Answer> {
  const { pathname, searchParams } = new URL(address, 'http://patrol')
  return answer(pathname, searchParams, source)
}
async function rows(address: string): Promise<FlatTask[]> {
  const { status, body } = await ask(address)
  expect(status).toBe(200)
  return (body as { tasks: FlatTask[] }).tasks
}

test('a receipt by the trace of a run whose message carried no context has the task that it was a run of', async () => {
  const joining = createSqliteLedger(tempDir('answer'))
  await joining.open()
  await joining.commit({ tasks: [taskOf(1, 0, 10, ...done)], requests: [requestRow(1, 16)] })
  await joining.commit({ joined: [{ stray: strayIdOf(9), taskId: taskIdOf(0) }] })
  const by = async (traceId: string): Promise<unknown> =>
    (await answer(`/receipt/${traceId}`, new URLSearchParams(), { ...source, ledger: joining })).body
  const task = { taskId: taskIdOf(0), state: 'succeeded', route: '/orders', origin: { traceId: TRACE } }
  const run = strayIdOf(9).slice(0, 32)
  expect(await by(run)).toMatchObject({ traceId: run, verdict: 'kept', request: { status: 202 }, tasks: [task] })
  expect(await by(hex(0x99, 32))).toMatchObject({ verdict: 'unknown', tasks: [] })
  await joining.close()
})

test('a request that had promised more than a receipt holds was kept, whatever became of the first', async () => {
  const many = createSqliteLedger(tempDir('answer'))
  await many.open()
  const first = [taskOf(1, 1, 10, ...bad), taskOf(1, 2, 11, ...tell(WEB, confirmed(14)))]
  const others = Array.from({ length: 10_200 }, (_, n) => taskOf(1, 100 + n, 20, ...done))
  await many.commit({ tasks: [...first, ...others], requests: [requestRow(1, 16)] })
  const { body } = await answer(`/receipt/${TRACE}`, new URLSearchParams(), { ...source, ledger: many })
  const { verdict, tasks, omitted } = body as Receipt
  expect([verdict, tasks.length, omitted]).toEqual(['broken', 10_000, 202])
  expect(tasks.slice(0, 3).map(({ state }) => state)).toEqual(['failed', 'enqueued', 'succeeded'])
  await many.close()
})

describe('tasks', () => {
  test.for<[string, string[]]>([
    ['/tasks', [taskIdOf(0, 3), taskIdOf(0, 2), taskIdOf(2), taskIdOf(1), taskIdOf(0)]],
    [`/tasks?trace=${TRACE}`, [taskIdOf(2), taskIdOf(1), taskIdOf(0)]],
    [`/tasks?trace=${hex(0xabc, 32).toUpperCase()}`, []],
    ['/tasks?state=failed,lost', [taskIdOf(2), taskIdOf(1)]],
    ['/tasks?state=,failed,', [taskIdOf(2)]],
    ['/tasks?since=13', [taskIdOf(0, 3), taskIdOf(0, 2)]],
    ['/tasks?since=1e99', []],
    ['/tasks?since=-5', [taskIdOf(0, 3), taskIdOf(0, 2), taskIdOf(2), taskIdOf(1), taskIdOf(0)]],
    ['/tasks?limit=2', [taskIdOf(0, 3), taskIdOf(0, 2)]],
    ['/tasks?limit=999999999999', [taskIdOf(0, 3), taskIdOf(0, 2), taskIdOf(2), taskIdOf(1), taskIdOf(0)]],
    ['/tasks?route=%2Forders&limit=1', [taskIdOf(0, 3)]],
    ["/tasks?route=' OR 1=1 --", []],
    ['/tasks?unknown=1&limit=1', [taskIdOf(0, 3)]],
  ])('%s', async ([address, ids]) => {
    expect((await rows(address)).map((row) => row['task_id'])).toEqual(ids)
  })

  test('no more than 1,000 at once, whatever is asked for', async () => {
    const many = createSqliteLedger(tempDir('answer'))
    await many.open()
    await many.commit({ tasks: Array.from({ length: 1_200 }, (_, n) => taskOf(n, 0, n)) })
    const { body } = await answer('/tasks', new URLSearchParams('limit=100000000'), { ...source, ledger: many })
    expect((body as { tasks: unknown[] }).tasks).toHaveLength(1_000)
    await many.close()
  })

  test('a row is flat, with what its request was and what its last failure said', async () => {
    const [row] = await rows(`/tasks?trace=${TRACE}&state=failed`)
    expect(row).toEqual({
      task_id: taskIdOf(2),
      trace_id: TRACE,
      state: 'failed',
      reason: 'rejected',
      evidence: null,
      error_type: 'RangeError',
      error_message: 'no such order',
      attempt: 2,
      attempts: 2,
      depth: 0,
      overdue: false,
      stalled: false,
      recovered: false,
      duplicate: false,
      conflict: false,
      unheard: false,
      confirmed: true,
      sampled: true,
      unattributed: false,
      candidates: null,
      exit_code: null,
      signal: null,
      system: 'bullmq',
      destination: 'fulfil',
      name: 'order',
      route: '/orders',
      request_status: 202,
      reader: null,
      copy_of: null,
      message_id: null,
      heartbeat_at: null,
      progress: null,
      worker_pid: 0xb0,
      spawned_at: '1970-01-01T00:00:00.012Z',
      settled_at: '1970-01-01T00:00:00.030Z',
      reported_at: null,
    })
    const [gone] = await rows(`/tasks?state=lost`)
    expect(gone).toMatchObject({ evidence: 'process_gone', exit_code: 137, signal: 'SIGKILL', error_type: null })
    const [open] = await rows('/tasks?state=enqueued')
    expect(open).toMatchObject({ attempt: 0, attempts: 0, worker_pid: null, settled_at: null })
    expect(Object.keys(toFlatRow((await makeReceipt(TRACE, source)).tasks[0]!))).toEqual(Object.keys(row!))
  })
})

describe('what is not understood is refused, with what is allowed', () => {
  test.for<[string, string | RegExp]>([
    ['/tasks?trace=', 'a trace id is 32 hex characters'],
    ['/tasks?trace=xyz', 'a trace id is 32 hex characters'],
    [`/tasks?trace=${'a'.repeat(33)}`, 'a trace id is 32 hex characters'],
    ['/tasks?trace=../../etc/passwd', 'a trace id is 32 hex characters'],
    ['/tasks?state=dead', `"dead" is not a state: allowed are ${TASK_STATES.join(', ')}`],
    ['/tasks?state=failed,__proto__', /^"__proto__" is not a state/],
    ['/tasks?state=%1b]52;c;x', /^"\\u001b\]52;c;x" is not a state/],
    ['/tasks?since=yesterday', 'since is a time in ms, limit a whole number from 1'],
    ['/tasks?since=Infinity', 'since is a time in ms, limit a whole number from 1'],
    ['/tasks?limit=0', 'since is a time in ms, limit a whole number from 1'],
    ['/tasks?limit=-1', 'since is a time in ms, limit a whole number from 1'],
    ['/tasks?limit=1.5', 'since is a time in ms, limit a whole number from 1'],
    ['/tasks?limit=1e999', 'since is a time in ms, limit a whole number from 1'],
    ['/tasks?limit=all', 'since is a time in ms, limit a whole number from 1'],
    ['/receipt/1234', 'a trace id is 32 hex characters'],
    [`/receipt/${'g'.repeat(32)}`, 'a trace id is 32 hex characters'],
    ['/receipt/%2e%2e%2f', 'a trace id is 32 hex characters'],
    [`/receipt/${'a'.repeat(31)}%00`, 'a trace id is 32 hex characters'],
    [`/receipt/${'a'.repeat(100_000)}`, 'a trace id is 32 hex characters'],
  ])('%s', async ([address, error]) => {
    const { status, body } = await ask(address)
    expect(status).toBe(400)
    expect((body as { error: string }).error).toMatch(error)
  })
  test.for(['/', '/receipt', '/receipt/', `/receipt/${TRACE}/x`, '/tasks/', '/TASKS', '/../ledger.db'])(
    '%s is not found',
    async (address) => {
      expect(await ask(address)).toEqual({ status: 404, body: { error: 'not found' } })
    },
  )
})

describe('receipts', () => {
  async function receipt(n: number): Promise<Receipt> {
    const { status, body } = await ask(`/receipt/${requestRef(n).traceId}`)
    expect(status).toBe(200)
    return body as Receipt
  }
  test('a request and its tasks, in the order in which they were announced', async () => {
    const { tasks, ...rest } = await receipt(1)
    const request = { method: 'POST', route: '/orders', status: 202, at: 15, service: 'shop', outcome: 'sent' }
    expect(rest).toEqual({ traceId: TRACE, request, verdict: 'broken' })
    expect(tasks.map(({ taskId, state, requestStatus }) => [taskId, state, requestStatus])).toEqual([
      [taskIdOf(0), 'succeeded', 202],
      [taskIdOf(1), 'lost', 202],
      [taskIdOf(2), 'failed', 202],
    ])
  })
  test.for<[number, Receipt['verdict']]>([
    [1, 'broken'],
    [2, 'open'],
    [3, 'kept'],
    [4, 'promised_nothing'],
    [5, 'unknown'],
  ])('of request %i the verdict is %s', async ([n, verdict]) => {
    expect((await receipt(n)).verdict).toBe(verdict)
  })
  test('a trace id in capitals is the same trace', async () => {
    expect((await ask(`/receipt/${hex(0xabc, 32).toUpperCase()}`)).body).toMatchObject({ traceId: hex(0xabc, 32) })
  })
  test('a request that its process did not live to answer is broken, though it promised nothing', async () => {
    const crashed = createSqliteLedger(tempDir('answer'))
    await crashed.open()
    const { status: _, route: __, ...rest } = answered(20, 0, { outcome: 'crashed' })
    await crashed.commit({ requests: [requestRow(1, 20, { answered: rest })] })
    const { verdict, request } = await makeReceipt(TRACE, { ...source, ledger: crashed })
    expect({ verdict, request }).toMatchObject({ verdict: 'broken', request: { outcome: 'crashed', at: 19 } })
    await crashed.close()
  })
  test('of several requests in one trace the one that promised is told', async () => {
    const chain = createSqliteLedger(tempDir('answer'))
    await chain.open()
    const outer = { ...requestRow(1, 5), key: `${TRACE}00000000000000ff` }
    const inner = taskOf(1, 0, 12, ...done)
    await chain.commit({
      requests: [outer, requestRow(1, 20, { answered: answered(20, 1, { route: '/inner' }) })],
      tasks: [inner],
    })
    const { request, tasks } = await makeReceipt(TRACE, { ...source, ledger: chain })
    expect(request?.route).toBe('/inner')
    expect(tasks.map(({ taskId }) => taskId)).toEqual(idsOf([inner]))
    await chain.close()
  })
})

test('the page on asking names each column, and no other', async () => {
  const page = readFileSync(new URL('../../../../docs/asking.md', import.meta.url), 'utf8')
  const table = page.slice(page.indexOf('## A row of'))
  const named = [...table.matchAll(/^\| (`.+?) \|/gm)].flatMap(([, cell]) => cell!.replaceAll('`', '').split(' '))
  const [row] = await rows('/tasks?limit=1')
  expect(named).toEqual(Object.keys(row!))
})
