import { expect, test } from 'vitest'
import type { ProcessEvent, TaskEvent, TaskId } from '../../src/contracts/task.ts'
import { IncidentReader } from '../../src/reporters/incident-reader.ts'

const origin = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), sampled: true }
const id = (n: number): TaskId => ('a'.repeat(32) + n.toString(16).padStart(16, '0')) as TaskId
const failure = { type: 'RangeError', message: 'no' }
const event = (kind: string, more: object = {}, taskId = id(1)): TaskEvent =>
  ({ kind, taskId, at: 5, attempt: 1, spanId: 'c'.repeat(16), ...more }) as unknown as TaskEvent
const spawned = (taskId?: TaskId): TaskEvent => event('spawned', { origin, route: '/orders' }, taskId)
const failed = (more: object = {}): TaskEvent => event('failed', { failure, willRetry: false, ...more })
const crashed = (more: object = {}): ProcessEvent => ({ kind: 'crashed', at: 7, failure, ...more }) as ProcessEvent

function kinds(reader: IncidentReader, events: readonly TaskEvent[]): (string | undefined)[] {
  return events.map((e) => reader.ofTask(e)?.kind)
}
const reader = (): IncidentReader => new IncidentReader(() => '/pay')

test('a task that fails is told with the request that promised it', () => {
  const read = reader()
  read.ofTask(spawned())
  expect(read.ofTask(failed())).toEqual({
    kind: 'task_failed',
    at: 5,
    taskId: id(1),
    trace: origin,
    route: '/orders',
    failure,
  })
})

test('what will be retried is no incident, and what fails twice over is one', () => {
  expect(
    kinds(reader(), [spawned(), failed({ willRetry: true }), failed(), failed({ reason: 'dead_lettered' })]),
  ).toEqual([undefined, undefined, 'task_failed', undefined])
})

test('a task that is lost, runs again and fails is told of both', () => {
  const lost = event('lost', { reason: 'worker_terminated' })
  const events = [spawned(), lost, lost, event('started'), failed()]
  expect(kinds(reader(), events)).toEqual([undefined, 'task_lost', undefined, undefined, 'task_failed'])
})

test('a crash carries its request, and the task that is the same error is no second incident', () => {
  const read = reader()
  expect(read.ofProcess(crashed({ culprit: origin }))).toEqual({
    kind: 'crash',
    at: 7,
    failure,
    trace: origin,
    route: '/pay',
  })
  expect(read.ofTask(failed())).toBeUndefined()
  expect(read.ofTask(failed({ failure: { type: 'TypeError', message: 'other' } }))).toMatchObject({
    kind: 'task_failed',
  })
  expect(read.ofProcess({ kind: 'exiting' } as ProcessEvent)).toBeUndefined()
})

test('a task whose spawn nobody saw, or was long ago, is told under its own span', () => {
  const read = reader()
  read.ofTask(spawned())
  for (let n = 2; n <= 10_001; n++) read.ofTask(spawned(id(n)))
  expect(read.ofTask(failed())).toMatchObject({ trace: { traceId: 'a'.repeat(32), spanId: id(1).slice(32) } })
  expect(read.ofTask(event('failed', { failure, willRetry: false }, id(2)))).toMatchObject({ trace: origin })
})

test('nobody can change what others are told', () => {
  const told = reader().ofTask(failed())!
  expect([told, told.failure, told.trace].every(Object.isFrozen)).toBe(true)
})
