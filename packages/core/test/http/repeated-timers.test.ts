import { EventEmitter, once } from 'node:events'
import timers from 'node:timers'
import { context, ROOT_CONTEXT, trace, TraceFlags, type Context, type Span } from '@opentelemetry/api'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { activeRequest, REQUEST_KEY, TASK_KEY, type RequestRecord } from '../../src/http/request-record.ts'
import { watchRepeatedTimers } from '../../src/http/repeated-timers.ts'
import { AsyncContextManager } from '../../src/sdk/context-manager.ts'

const MINUTE = 60_000
const real = timers.setInterval
let at = 0

beforeAll(() => {
  context.setGlobalContextManager(new AsyncContextManager())
  watchRepeatedTimers(() => at)
})
afterAll(() => {
  context.disable()
  timers.setInterval = real
  globalThis.setInterval = real
})

function request(): RequestRecord {
  at = 0
  return { ref: { traceId: 'a', spanId: 'b', sampled: true }, method: 'POST', startedAt: 0, promised: 0, ended: false }
}

/** What an interval that was set in a context sees at its next tick, whenever it is asked. */
function interval(from: Context): { next(): Promise<Context>; stop(): void } {
  const ticks = new EventEmitter()
  const timer = context.with(from, () => setInterval(() => ticks.emit('tick', context.active()), 1))
  return {
    async next() {
      const [seen] = (await once(ticks, 'tick')) as [Context]
      return seen
    },
    stop: () => {
      clearInterval(timer)
    },
  }
}

test('an interval that a request has set does not work for that request for ever', async () => {
  const record = request()
  const { next, stop } = interval(ROOT_CONTEXT.setValue(REQUEST_KEY, record))
  expect(activeRequest(await next())).toBe(record)
  at = MINUTE + 1
  expect(activeRequest(await next())).toBe(record) // it is in flight: a stream that is kept awake
  record.ended = true
  expect(activeRequest(await next())).toBeUndefined()
  stop()
})

test('an interval that a request has set is its own for a minute after the answer', async () => {
  const record = request()
  const { next, stop } = interval(ROOT_CONTEXT.setValue(REQUEST_KEY, record))
  record.ended = true
  at = MINUTE
  const seen = await next()
  expect(activeRequest(seen)).toBe(record)
  expect(seen.setValue(TASK_KEY, 'x').getValue(REQUEST_KEY)).toBe(record)
  stop()
})

test('an interval belongs to the request for as long as the span that is active there is open', async () => {
  const record = request()
  let isRecording = true
  const span = { isRecording: () => isRecording } as Span
  const { next, stop } = interval(trace.setSpan(ROOT_CONTEXT.setValue(REQUEST_KEY, record), span))
  record.ended = true
  at = MINUTE + 1
  expect(trace.getSpan(await next())).toBe(span)
  isRecording = false
  expect(trace.getSpan(await next())).toBeUndefined()
  stop()
})

test('an interval of a task, or of nobody, keeps its context', async () => {
  const record = request()
  const ofTask = ROOT_CONTEXT.setValue(REQUEST_KEY, record).setValue(TASK_KEY, 'x')
  const ofNobody = trace.setSpanContext(ROOT_CONTEXT, { traceId: '1', spanId: '2', traceFlags: TraceFlags.NONE })
  record.ended = true
  at = MINUTE + 1
  for (const own of [ofTask, ofNobody]) {
    const { next, stop } = interval(own)
    expect(await next()).toBe(own)
    stop()
  }
})

test('setInterval of the global object and of node:timers stay one, with the name and length of Node’s', () => {
  expect(globalThis.setInterval).toBe(timers.setInterval)
  expect([setInterval.name, setInterval.length]).toEqual([real.name, real.length])
})
