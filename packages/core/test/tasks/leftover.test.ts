import { ROOT_CONTEXT, SpanKind, trace, type Attributes } from '@opentelemetry/api'
import { AlwaysOnSampler } from '@opentelemetry/sdk-trace'
import { expect, test } from 'vitest'
import type { EpochMs, TaskEvent } from '../../src/contracts/task.ts'
import { REQUEST_KEY, type RequestRecord } from '../../src/http/request-record.ts'
import { ownedScopes } from '../../src/sdk/owned-scopes.ts'
import type { RecordedSpan } from '../../src/sdk/recorded-span.ts'
import { createTracerProvider } from '../../src/sdk/tracer-provider.ts'
import { taskChannel } from '../../src/tasks/channel.ts'
import { watchLeftovers } from '../../src/tasks/leftover.ts'

const many = Number.POSITIVE_INFINITY
const limits = {
  attributes: many,
  valueLength: many,
  events: many,
  eventAttributes: many,
  links: many,
  linkAttributes: many,
}
const provider = createTracerProvider({ sampler: new AlwaysOnSampler(), limits, deliver: () => {} })
const tracer = provider.getTracer('app')

/** The task that a call is which begins when its request has been answered. */
function taskOf(name: string, attributes: Attributes): unknown {
  const events: TaskEvent[] = []
  const hear = (event: TaskEvent): void => void events.push(event)
  taskChannel.subscribe(hear as never)
  const leftovers = watchLeftovers(() => 0 as EpochMs, 1_000)
  const ref = { traceId: 'a', spanId: 'b', sampled: true }
  const record: RequestRecord = { ref, method: 'GET', startedAt: 0, promised: 0, ended: true }
  const inRequest = ROOT_CONTEXT.setValue(REQUEST_KEY, record)
  const span = tracer.startSpan(name, { kind: SpanKind.CLIENT, attributes }, inRequest)
  leftovers.onStart!(span as unknown as RecordedSpan, inRequest)
  taskChannel.unsubscribe(hear as never)
  return events.find(({ kind }) => kind === 'spawned')
}

test('a call that another tells of in older words goes to its host, not to a destination of its own for each address', () => {
  const asked = (attributes: Attributes): unknown =>
    (taskOf('fetch GET https://api.test/users/7', attributes) as { destination?: unknown }).destination
  expect(asked({ 'net.peer.name': 'api.test', 'net.peer.port': '443' })).toBe('api.test:443')
  expect(asked({ 'net.peer.name': 'api.test', 'net.peer.port': 8443 })).toBe('api.test:8443')
  expect(asked({ 'net.peer.name': 'api.test', 'net.peer.port': '' })).toBe('api.test')
  expect(asked({ 'server.address': 'own.test', 'server.port': 80, 'net.peer.name': 'api.test' })).toBe('own.test:80')
})

test('a command of Redis that waits for work was a task of the request that began to wait, overdue and lost in the end', () => {
  const redis = { 'db.system.name': 'redis' }
  for (const command of [
    'brpop',
    'BLPOP',
    'brpoplpush',
    'blmove',
    'bzpopmin',
    'BZMPOP',
    'xread',
    'xreadgroup',
    'quit',
    'redis-BRPOP',
    'redis-QUIT',
    // Each time that ioredis tried again was work of that request, which had succeeded.
    'connect',
  ])
    expect([command, taskOf(command, redis)]).toEqual([command, undefined])
  for (const command of ['rpop', 'lmove', 'xadd', 'publish'])
    expect([command, taskOf(command, redis)]).toMatchObject([command, { kind: 'spawned' }])
  expect(taskOf('xread', {})).toMatchObject({ kind: 'spawned' })
})

test('what work asks below a span that a replaced instrumentation would make is a part of that work, and no task beside it', () => {
  const tasks: string[] = []
  const hear = (event: TaskEvent): void => void (event.kind === 'spawned' && tasks.push(event.name))
  taskChannel.subscribe(hear as never)
  const leftovers = watchLeftovers(() => 0 as EpochMs, 1_000)
  const ref = { traceId: 'a', spanId: 'b', sampled: true }
  const record: RequestRecord = { ref, method: 'GET', startedAt: 0, promised: 0, ended: true }
  const inRequest = ROOT_CONTEXT.setValue(REQUEST_KEY, record)
  const begin = (name: string, within: typeof inRequest): typeof inRequest => {
    const span = tracer.startSpan(name, { kind: SpanKind.CLIENT }, within)
    leftovers.onStart(span as unknown as RecordedSpan, within)
    return trace.setSpan(within, span)
  }
  ownedScopes.add('replaced')
  const work = begin('work', inRequest)
  const standIn = trace.setSpan(work, provider.getTracer('replaced').startSpan('seen', {}, work))
  const twice = trace.setSpan(standIn, provider.getTracer('replaced').startSpan('seen', {}, standIn))
  begin('part', work)
  begin('part below a stand-in', standIn)
  begin('part below two', twice)
  taskChannel.unsubscribe(hear as never)
  ownedScopes.delete('replaced')
  expect(tasks).toEqual(['work'])
})
