// Spans that a process had finished when it died, and no collector had.
import { appendFileSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { encodeSpan, encodeTraceRequest, OTLP_KIND, type SpanData } from '@afterspan/core/internal'
import { createFlightFile } from '../../src/journal/flight.ts'
import { spansIn } from '../../src/patrol/left-spans.ts'
import { spoolIn } from '../journal/span-files.ts'
import { opened, received, requestRef, WORKER } from '../sample-events.ts'
import { DOWN, Stage } from './stage.ts'

function spanOf(n: number, more: Partial<SpanData> = {}): SpanData {
  const { traceId, spanId } = requestRef(n)
  return { traceId, spanId, name: 'GET /', kind: OTLP_KIND.server, startMs: 1, endMs: 2, attributes: {}, ...more }
}
function requestOf(...spans: readonly SpanData[]): Buffer {
  return encodeTraceRequest({ 'service.name': 'shop' }, [{ scope: { name: 'x' }, spans: spans.map(encodeSpan) }])
}
function spoolOf(stage: Stage): string[] {
  return readdirSync(join(stage.dir, 'spool'))
}
function settle(stage: Stage): void {
  const at = stage.clock.now() / 1000
  for (const file of spoolOf(stage)) utimesSync(join(stage.dir, 'spool', file), at, at)
}

test('are sent by the patrol once the process is dead, not before; a request among them was not in flight', async () => {
  const stage = new Stage()
  const patrol = await stage.patrol()
  stage.write(WORKER, opened(WORKER))
  const flight = createFlightFile(stage.dir, WORKER, () => {})
  flight.release(flight.open(received(1, 1)))
  flight.open(received(2, 2))
  spoolIn(stage.dir)
    .begin(false)
    .append(requestOf(spanOf(1)))
  settle(stage)
  await stage.clock.advance(10_000)
  await patrol.sweepOnce()
  expect(stage.posted).toEqual([])

  stage.seen.set(WORKER, 'dead')
  await patrol.sweepOnce()
  settle(stage)
  await stage.clock.advance(10_000)
  await patrol.sweepOnce()
  const told = Object.fromEntries(stage.spans().map(({ spanId, status }) => [spanId, status.code]))
  expect(told).toEqual({ [requestRef(1).spanId]: 'unset', [requestRef(2).spanId]: 'error' })
  expect(stage.spans()).toHaveLength(2)
  expect(spoolOf(stage)).toEqual([])
})

test('what death has cut off is cut off, the rest is sent', async () => {
  const stage = new Stage()
  const patrol = await stage.patrol()
  stage.write(WORKER, opened(WORKER))
  const file = spoolIn(stage.dir).begin(true)
  const whole = requestOf(spanOf(1), spanOf(2, { status: { code: 2, message: 'x' } }))
  file.append(whole)
  const path = join(stage.dir, 'spool', spoolOf(stage)[0]!)
  appendFileSync(path, requestOf(spanOf(3)).subarray(0, -5))
  stage.seen.set(WORKER, 'dead')
  stage.reply = DOWN
  await patrol.sweepOnce()
  const [adopted] = spoolOf(stage)
  expect(adopted).toBe(`${WORKER}.0.2.errors.otlp`)
  expect(readFileSync(join(stage.dir, 'spool', adopted!))).toEqual(whole)
})

test('a file in which no span can be read is removed', async () => {
  const stage = new Stage()
  const patrol = await stage.patrol()
  stage.write(WORKER, opened(WORKER))
  spoolIn(stage.dir).begin(false).append(Buffer.from('x'))
  writeFileSync(join(stage.dir, 'spool', spoolOf(stage)[0]!), Buffer.alloc(100, 0xff))
  stage.seen.set(WORKER, 'dead')
  await patrol.sweepOnce()
  expect(spoolOf(stage)).toEqual([])
})

test('no damage makes reading throw, and what stands before it is read', () => {
  const bytes = Buffer.concat([requestOf(spanOf(1)), requestOf(spanOf(2))])
  const first = requestOf(spanOf(1)).length
  for (let length = 0; length <= bytes.length; length++)
    expect(spansIn(bytes.subarray(0, length)).ids.length).toBeGreaterThanOrEqual(length >= first ? 1 : 0)
  for (let at = 0; at < bytes.length; at++)
    for (const value of [0, 0x7f, 0xff]) {
      const damaged = Buffer.from(bytes)
      damaged[at] = value
      expect(spansIn(damaged).length).toBeLessThanOrEqual(bytes.length)
    }
})
