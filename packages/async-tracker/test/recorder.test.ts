// What the channels say, and what of it is in the journal. One recorder for the whole file: the channels are the process's.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import {
  createMetricRegistry,
  processChannel,
  requestChannel,
  taskChannel,
  type Core,
  type EncodedSpan,
  type JournalEvent,
} from '@afterspan/core/internal'
import { readFlightFile } from '../src/journal/flight.ts'
import { startRecorder } from '../src/recorder.ts'
import { fakeClock } from '../../testing/src/fake-clock.ts'
import { tempDir } from '../../testing/src/temp-dir.ts'
import { createBag } from '../src/integrations/sending/bag.ts'
import { createRealKit } from './integrations/real-kit.ts'
import { eventsIn, segmentsIn } from './journal/segments.ts'
import { answered, failed, ms, received, spawned, started, succeeded } from './sample-events.ts'

const dir = tempDir('recorder')
const metrics = createMetricRegistry()
const delivered: EncodedSpan[] = []
let wakes = 0
let flight: Parameters<Core['setFlightLog']>[0] | undefined
let spool: Parameters<Core['setSpool']>[0] | undefined
const core = {
  serviceName: 'shop',
  sdkVersion: '0.1.0',
  resource: { 'service.name': 'shop' },
  clock: fakeClock(),
  metrics,
  deliver: (span: EncodedSpan) => void delivered.push(span),
  wakeSideThread: () => void wakes++,
  setHealthLog: () => {},
  setFlightLog: (log: NonNullable<typeof flight>) => (flight = log),
  setSpool: (given: NonNullable<typeof spool>) => (spool = given),
} as unknown as Core
const { writer } = startRecorder(core, dir, { tell: true, spoolBytes: 1_000_000 })
let before: readonly JournalEvent[] = []
function written(): JournalEvent[] {
  return eventsIn(dir).slice(before.length)
}

beforeEach(() => {
  before = existsSync(join(dir, 'journal')) ? eventsIn(dir) : []
  delivered.length = 0
})

test('a process that has done nothing leaves nothing, not even when it ends', () => {
  processChannel.publish({ kind: 'exiting', at: ms(1), code: 0 })
  expect(readdirSync(dir)).toEqual([])
})

test('a request in flight is noted, in a process that its journal knows', () => {
  const slot = flight!.open(received(1))
  const [segment] = segmentsIn(dir)
  expect(segment?.events).toMatchObject([{ kind: 'opened', worker: { pid: process.pid, service: 'shop' } }])
  const key = segment!.file.split('.').slice(0, 2).join('.')
  expect(readFlightFile(dir, key)).toEqual([received(1)])
  flight!.close(slot)
})

test('what happens to tasks and requests is in the journal when publish returns, and somebody is called to read it', () => {
  const events = [spawned(2), started(3, 1), succeeded(4, 1)]
  for (const [n, event] of events.entries()) {
    taskChannel.publish(event)
    expect(written()).toEqual(events.slice(0, n + 1))
  }
  expect(wakes).toBe(3)
  requestChannel.publish(answered(5, 1))
  processChannel.publish({ kind: 'exiting', at: ms(6), code: 1 })
  expect(written().slice(3)).toEqual([answered(5, 1), { kind: 'exiting', at: 6, code: 1 }])
})

test('what several senders are told at once is in the journal before any of them goes on', async () => {
  const { kit } = createRealKit()
  const { promise, resolve } = Promise.withResolvers<string>()
  const draft = { system: 'bullmq', destination: 'mail', name: 'mail' }
  const kinds = (): string[] => written().map(({ kind }) => kind)
  const send = (isAwaited: boolean): Promise<string[]> =>
    kit.enqueue({ ...draft, isAwaited }, createBag(), () => promise, String).then(kinds)
  const all = [send(true), send(true), send(true)]
  expect(kinds()).toEqual(['spawned', 'spawned', 'spawned'])
  const byHand = send(false)
  // Whoever holds the library's own promise goes on from that: what is not awaited is written at once.
  const besides = promise.then(kinds)
  resolve('7')
  for (const seen of await Promise.all(all))
    expect(seen.filter((kind) => kind === 'confirmed').length).toBeGreaterThanOrEqual(3)
  expect((await besides).filter((kind) => kind === 'confirmed')).toHaveLength(4)
  await byHand
  expect(kinds().filter((kind) => kind === 'confirmed')).toHaveLength(4)
})

test('a span that is too large for the journal is exported by the process itself, and the journal has the rest', () => {
  const span = { scope: 'x', bytes: 'A'.repeat(70_000) }
  taskChannel.publish(failed(7, 1, { span }))
  expect(delivered).toEqual([span])
  expect(written()).toEqual([failed(7, 1, { isTold: true })])
  const small = { scope: 'x', bytes: 'A'.repeat(70) }
  taskChannel.publish(failed(8, 2, { span: small }))
  expect(delivered).toEqual([span])
  expect(written()).toEqual([failed(7, 1, { isTold: true }), failed(8, 2, { span: small })])
})

test('spans that wait are kept in the same folder, and the notes that they stand for go with them', () => {
  const slot = flight!.open(received(7))
  const file = spool!.begin(false)
  expect(file.append(Buffer.from('a request'))).toBe(true)
  flight!.release(slot)
  const [name] = readdirSync(join(dir, 'spool'))
  const key = name!.split('.').slice(0, 2).join('.')
  expect(readFlightFile(dir, key)).toContainEqual(received(7))
  file.discard()
  expect(readFlightFile(dir, key)).not.toContainEqual(received(7))
})

test('what could not be written is a metric', async () => {
  writer.dropped = 3
  writer.errors = 2
  const values = (await metrics.collect()).map(({ name, samples }) => [name, (samples[0] as { value: number }).value])
  expect(values).toContainEqual(['afterspan_ledger_dropped_events', 3])
  expect(values).toContainEqual(['afterspan_ledger_write_errors', 2])
})
