// Whose code threw: what a run of a job leaves behind is its task's, and after its end it is no part of the run any more.
import { context, propagation } from '@opentelemetry/api'
import { beforeAll, expect, test } from 'vitest'
import type { EpochMs, TaskEvent } from '../../src/contracts/task.ts'
import { findCulprit } from '../../src/guard/attribution.ts'
import { createStrays } from '../../src/guard/strays.ts'
import { AsyncContextManager } from '../../src/sdk/context-manager.ts'
import { createPropagator } from '../../src/sdk/propagator.ts'
import { createSampler, createTracerProvider } from '../../src/sdk/tracer-provider.ts'
import { taskChannel } from '../../src/tasks/channel.ts'
import { createKit } from '../../src/tasks/kit.ts'
import { resumeAttempt } from '../../src/tasks/resume.ts'

const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-00`
const carrier = { get: (key: string) => (key === 'traceparent' ? traceparent : undefined), set: () => {} }
const limits = { attributes: 9, valueLength: 99, events: 9, eventAttributes: 9, links: 9, linkAttributes: 9 }
const provider = createTracerProvider({ sampler: createSampler('always_on', 1), limits, deliver: () => {} })
const now = (): EpochMs => Date.now() as EpochMs
const kit = createKit({
  tracer: () => provider.getTracer('test'),
  now,
  onError: (error) => {
    throw error
  },
})

beforeAll(() => {
  context.setGlobalContextManager(new AsyncContextManager())
  propagation.setGlobalPropagator(createPropagator(['tracecontext']))
})

const info = { system: 'queue', destination: 'mail', name: 'mail', attempt: 1 }
test.each([
  ['a run', false, <R>(run: () => R): R => kit.attempt(info, carrier, run)],
  ['a run that goes on in another process', true, <R>(run: () => R): R => resumeAttempt(carrier, carrier, run)],
])('%s that is over is no longer at work, also where it is not sampled', async (_, isToldElsewhere, start) => {
  const { promise: handler, resolve: finish } = Promise.withResolvers<void>()
  let askLater: () => unknown = () => {}
  const ended = start(() => {
    const inRun = context.active()
    askLater = () =>
      context.with(inRun.setValue(Symbol.for('own'), 1), () => findCulprit(new Error(), 'uncaughtException'))
    return handler
  })
  const task = `${'a'.repeat(32)}${'b'.repeat(16)}`
  expect(askLater()).toMatchObject({ task, isOver: false, isToldElsewhere })
  finish()
  await ended
  expect(askLater()).toMatchObject({ task, isOver: true, isToldElsewhere: false })
})

test('what a job threw in a process of its own was told by that process, and by the worker', () => {
  const told: unknown[] = []
  const note = (event: unknown): void => void told.push((event as TaskEvent).kind)
  const deps = { tracer: () => provider.getTracer('test'), now, serves: () => true, tellCrash: () => {} }
  const strays = createStrays({ ...deps, counters: { unattributed: { add() {} }, untold: { add() {} } } as never })
  const ref = { traceId: 'a'.repeat(32), spanId: 'c'.repeat(16), sampled: true }
  const thrown = { origin: 'uncaughtException', candidates: [], isCrash: false }
  taskChannel.subscribe(note)
  strays.handled({ ...thrown, error: new Error('a'), culprit: { ref, isOver: false, isToldElsewhere: true } })
  expect(told).toEqual([])
  strays.handled({ ...thrown, error: new Error('b'), culprit: { ref, isOver: true, isToldElsewhere: false } })
  expect(told).toContain('failed')
  taskChannel.unsubscribe(note)
})
