import { EventEmitter } from 'node:events'
import type { ProbeResult } from '@afterspan/core/internal'
import { expect, test } from 'vitest'
import { isWedged, PoolControl } from '../../src/probes/pool-control.ts'
import { experiment } from '../../src/probes/postgresql-control.ts'
import { fakeTime, settled } from '../fake-time.ts'

const DIRECT = { pid: 900, own: 900 }
const idle = { pid: 1, isBusy: false }
const busy = { pid: 2, isBusy: true }

test.for([
  ['all are held by code that does nothing', [idle], { ...DIRECT, active: [] }, true],
  [
    'none is held, and the connections are being made for ever',
    [{ pid: undefined, isBusy: true }],
    { ...DIRECT, active: [] },
    true,
  ],
  ['a statement runs', [idle, busy], { ...DIRECT, active: [2] }, false],
  ['a statement was sent, of which the server knows nothing', [idle, busy], { ...DIRECT, active: [7] }, true],
  ['a statement was sent through a pooler with numbers of its own', [busy], { pid: 5, own: 900, active: [] }, false],
  ['nothing was sent through a pooler', [idle], { pid: 5, own: 900, active: [] }, true],
] as const)('where %s', ([, held, server, expected]) => {
  expect(isWedged(held, server)).toBe(expected)
})

const EXHAUSTED: ProbeResult = { status: 'fail', code: 'pool_exhausted', cause: 'self_recoverable' }

function setUp(given: { isDown?: boolean; readonly stillMs?: number; readonly unaskedMs?: number } = {}) {
  const { stillMs = 60_000, unaskedMs = 0 } = given
  const time = fakeTime()
  let made = 0
  class Client extends EventEmitter {
    readonly processID = 900
    ended = false
    readonly connection = { stream: { destroy: () => (this.ended = true) } }
    constructor() {
      super()
      made++
      clients.push(this)
    }
    async connect(): Promise<void> {
      if (given.isDown) throw Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })
    }
    async query(): Promise<{ rows: unknown[] }> {
      return { rows: [{ own: 900, active: [] }] }
    }
  }
  const clients: Client[] = []
  const control = new PoolControl({ stillMs, unaskedMs }, () => time.clock.monotonicMs(), 60_000)
  const round = async (result: ProbeResult = EXHAUSTED): Promise<string | undefined> => {
    const judged = control.judge(result, () => experiment({ Client, _clients: [], _idle: [] } as never))
    await settled()
    await time.advance(2000)
    return judged.cause
  }
  return { time, round, clients, made: () => made }
}

test('a restart is asked for after a minute of nothing, and two experiments that agree', async () => {
  const { round, clients, made } = setUp()
  const causes: (string | undefined)[] = []
  for (let i = 0; i < 33; i++) causes.push(await round())
  expect(causes.indexOf('self_wedged')).toBe(32)
  expect(made()).toBeLessThanOrEqual(14)
  expect(clients.every(({ ended }) => ended)).toBe(true)
  expect(await round({ status: 'pass' })).toBeUndefined()
  expect(await round()).toBe('self_recoverable')
})

test.for([
  ['clients go out and come back', { stillMs: 59_999 }],
  ['nobody wants anything', { unaskedMs: 60_000 }],
] as const)('no restart where %s', async ([, given]) => {
  const { round } = setUp(given)
  for (let i = 0; i < 40; i++) expect(await round()).toBe('self_recoverable')
})

test('no restart where the server takes no connection either', async () => {
  const { round } = setUp({ isDown: true })
  for (let i = 0; i < 40; i++) expect(await round()).not.toBe('self_wedged')
})

test('a pool that is used up because its server answers nobody is the server’s trouble, until it is there again', async () => {
  const given = { isDown: true, stillMs: 1000 }
  const { round, made } = setUp(given)
  expect(await round()).toBe('self_recoverable')
  for (let i = 0; i < 5; i++) expect(await round()).toBe('dependency')
  expect(made()).toBeLessThanOrEqual(3)
  given.isDown = false
  for (let i = 0; i < 3; i++) await round()
  expect(await round()).toBe('self_recoverable')
  expect(await round({ status: 'pass' })).toBeUndefined()
})

test('what the server itself refuses is no dead pool', async () => {
  const { round, made } = setUp()
  for (let i = 0; i < 40; i++) await round({ status: 'fail', code: 'read_only', cause: 'dependency' })
  expect(made()).toBe(0)
})
