// What the patrol puts on its way to the collector.
import { describe, expect, test } from 'vitest'
import { encodeSpan, OTLP_KIND, type EncodedSpan, type TaskEvent } from '@afterspan/core/internal'
import {
  answered,
  confirmed,
  failed,
  FAILURE,
  lost,
  ms,
  neverEnqueued,
  opened,
  OTHER_WORKER,
  requestRef,
  settledFailed,
  settledLost,
  spanId,
  spawned,
  started,
  succeeded,
  TASK,
  WEB,
  WORKER,
} from '../sample-events.ts'
import { Desk } from './desk.ts'

const TRACE = TASK.slice(0, 32)
const PRODUCER = TASK.slice(32)
const SENT = [opened(WEB), spawned(1), confirmed(2, { messageId: 'm-1' })] as const
const OWN_ID = expect.stringMatching(/^[0-9a-f]{16}$/)

/** A finished span, as a process puts it into its journal. */
function encodedSpan(id: string, name = 'process fulfil'): EncodedSpan {
  const span = { traceId: TRACE, spanId: id, name, kind: OTLP_KIND.consumer, startMs: 2, endMs: 9, attributes: {} }
  return { scope: 'the app', bytes: Buffer.from(encodeSpan(span)).toString('base64') }
}
async function told(...batches: readonly (readonly [string, ...Parameters<Desk['feed']>[1][]])[]): Promise<Desk> {
  const desk = new Desk()
  for (const [by, ...events] of batches) await desk.feed(by, ...events)
  return desk
}

test('good news is not told', async () => {
  const desk = await told([WEB, ...SENT], [WORKER, opened(WORKER), started(3, 1), succeeded(4, 1)])
  expect(await desk.spans()).toEqual([])
})

test('a failed attempt is told by the span that it wrote down, in the name of its process', async () => {
  const span = encodedSpan(spanId(1))
  const desk = await told([WEB, ...SENT], [WORKER, opened(WORKER), started(3, 1), failed(4, 1, { span })])
  expect(await desk.spans()).toMatchObject([
    { spanId: spanId(1), name: 'process fulfil', scope: { name: 'the app' }, resource: { 'service.name': 'shop' } },
  ])
  const [row] = await desk.ledger.dueOutbox(ms(1e9), 9)
  expect(row).toMatchObject({ spanId: spanId(1), taskId: TASK, tries: 0, nextAt: 1_000 })
})

test('a killed run of what was sent to an exchange is named by its queue, as the others are', async () => {
  const description = { system: 'rabbitmq', destination: 'exchange', name: 'order' }
  const run = started(3, 1, { description: { ...description, destination: 'mails' }, reader: 'mails' })
  const desk = await told([WEB, opened(WEB), spawned(1, description)], [WORKER, opened(WORKER), run, lost(9, 1)])
  expect(await desk.spans()).toMatchObject([
    { name: 'process mails', attributes: { 'messaging.destination.name': 'mails' } },
  ])
})

test('one whose own process exports the span is not told a second time', async () => {
  const events = [opened(WORKER), started(3, 1), failed(4, 1, { isTold: true })] as const
  const desk = await told([WEB, ...SENT], [WORKER, ...events])
  expect(await desk.spans()).toEqual([])
})

test('one that wrote down no span, since nobody sampled it, is told by what is known of it', async () => {
  const attempt = { attempt: 2, maxAttempts: 5 }
  const desk = await told(
    [WEB, ...SENT],
    [WORKER, opened(WORKER), started(3, 1, attempt), failed(7, 1, { willRetry: true })],
  )
  expect(await desk.spans()).toMatchObject([
    {
      traceId: TRACE,
      spanId: spanId(1),
      parentSpanId: PRODUCER,
      name: 'process fulfil',
      kind: 'consumer',
      startMs: 3,
      endMs: 7,
      status: { code: 'error', message: FAILURE.message },
      events: [{ name: 'exception', atMs: 7, attributes: { 'exception.type': 'RangeError' } }],
      links: [],
      attributes: {
        'error.type': 'RangeError',
        'afterspan.task.id': TASK,
        'afterspan.task.name': 'order',
        'afterspan.task.state': 'retrying',
        'afterspan.task.reason': 'rejected',
        'afterspan.task.attempt': 2,
        'afterspan.task.attempts': 5,
        'afterspan.task.worker.pid': 0xb0,
        'messaging.system': 'bullmq',
        'messaging.destination.name': 'fulfil',
        'messaging.message.id': 'm-1',
      },
      flags: 1,
      scope: { name: 'afterspan' },
    },
  ])
})

test('a lost attempt is told under the id that its own span had', async () => {
  const death = { exitCode: 137, signal: 'SIGKILL', culprit: requestRef(9) }
  const desk = await told([WEB, ...SENT], [WORKER, opened(WORKER), started(3, 1), lost(9, 1, death)])
  expect(await desk.spans()).toMatchObject([
    {
      spanId: spanId(1),
      parentSpanId: PRODUCER,
      startMs: 3,
      endMs: 9,
      status: { code: 'error', message: 'the process was ended by SIGKILL' },
      links: [{ ...pick(requestRef(9)), attributes: { 'afterspan.crash.role': 'culprit' } }],
      attributes: {
        'error.type': 'process_killed',
        'afterspan.task.state': 'lost',
        'afterspan.task.reason': 'process_killed',
        'afterspan.task.evidence': 'process_gone',
        'afterspan.task.attempt': 1,
      },
    },
  ])
})

test('an attempt inside of its own process hangs below what promised it, by its own name', async () => {
  const more = { system: 'process', destination: 'mail', name: 'send the mail' }
  const desk = await told([WEB, spawned(1, more), started(1, 1), lost(9, 1)])
  const [span] = await desk.spans()
  expect(span).toMatchObject({ parentSpanId: requestRef().spanId, name: 'send the mail', kind: 'internal' })
  expect(Object.keys(span!.attributes)).not.toContain('messaging.system')
})

test('a message that was never sent is told as the PRODUCER span itself', async () => {
  const desk = await told([WEB, opened(WEB), spawned(1), neverEnqueued(9)])
  expect(await desk.spans()).toMatchObject([
    {
      spanId: PRODUCER,
      parentSpanId: requestRef().spanId,
      name: 'send fulfil',
      kind: 'producer',
      startMs: 1,
      endMs: 9,
      status: { code: 'error', message: 'the process ended before the broker had the message' },
      attributes: { 'error.type': 'never_enqueued', 'afterspan.task.state': 'lost' },
    },
  ])
})

test('a sending that failed is told by the span that the sender wrote down', async () => {
  const span = encodedSpan(PRODUCER, 'send fulfil')
  const desk = await told([
    WEB,
    opened(WEB),
    spawned(1),
    neverEnqueued(9, { evidence: 'own_report', failure: FAILURE, span }),
  ])
  expect(await desk.spans()).toMatchObject([{ spanId: PRODUCER, name: 'send fulfil', scope: { name: 'the app' } }])
})

test.for<[string, TaskEvent, string, string]>([
  ['failed', settledFailed(9), 'dead_lettered', 'dead_lettered'],
  ['lost', settledLost(9), 'vanished_from_broker', 'vanished_from_broker'],
])('what only the broker knew is a span of its own below the PRODUCER: %s', async ([state, event, reason, type]) => {
  const desk = await told([WEB, ...SENT, event])
  expect(await desk.spans()).toMatchObject([
    {
      spanId: OWN_ID,
      parentSpanId: PRODUCER,
      name: `${state} fulfil`,
      kind: 'internal',
      startMs: 1,
      endMs: 9,
      status: { code: 'error' },
      attributes: { 'error.type': type, 'afterspan.task.state': state, 'afterspan.task.reason': reason },
    },
  ])
})

test("the broker's word that ends the attempt of its teller is told as that attempt", async () => {
  const desk = await told([WEB, ...SENT], [WORKER, opened(WORKER), started(3, 1), settledFailed(9)])
  expect(await desk.spans()).toMatchObject([
    { spanId: spanId(1), attributes: { 'afterspan.task.state': 'failed', 'afterspan.task.reason': 'dead_lettered' } },
  ])
})

test("the broker's word on a failure that its attempt has told is not told again", async () => {
  const desk = await told(
    [WEB, ...SENT],
    [WORKER, opened(WORKER), started(3, 1), failed(8, 1)],
    [WEB, settledFailed(9)],
  )
  expect(await desk.spans()).toMatchObject([{ spanId: spanId(1), attributes: { 'afterspan.task.reason': 'rejected' } }])
})

test('an attempt that failed for good, of which nothing else is known, is told all the same; one to be retried is not', async () => {
  const desk = await told([WEB, ...SENT], [WORKER, failed(9, 1)])
  expect(await desk.spans()).toMatchObject([{ spanId: OWN_ID, parentSpanId: PRODUCER, name: 'failed fulfil' }])
  const other = await told([WEB, ...SENT], [WORKER, failed(9, 1, { willRetry: true }), lost(10, 2)])
  expect(await other.spans()).toEqual([])
})

describe('always the same bytes under one id', () => {
  async function bodies(desk: Desk): Promise<Uint8Array[]> {
    return (await desk.ledger.dueOutbox(ms(1e9), 9)).map(({ body }) => body)
  }
  const events = [started(3, 1), failed(4, 1, { willRetry: true }), started(5, 2), lost(9, 2)]

  test('however the events are cut into batches, and when they are read again', async () => {
    const whole = await told([WEB, ...SENT], [WORKER, opened(WORKER), ...events])
    const first = await bodies(whole)
    expect(first).toHaveLength(2)
    const pieces = await told([WEB, ...SENT], [WORKER, opened(WORKER)])
    for (const event of events) await pieces.feed(WORKER, event)
    expect(await bodies(pieces)).toEqual(first)
    pieces.now = 99_000
    await pieces.feed(WORKER, ...events)
    expect(await bodies(pieces)).toEqual(first)
  })
  test('what was delivered is not told again, whatever else is said of it under the same id', async () => {
    const desk = await told([WEB, ...SENT], [WORKER, opened(WORKER), started(3, 1)])
    await desk.feed(OTHER_WORKER, lost(9, 1))
    await desk.ledger.commit({ deliveredSpans: [spanId(1)] })
    await desk.feed('patrol', { kind: 'reported', taskId: TASK, at: ms(10), spanId: spanId(1) })
    await desk.feed(OTHER_WORKER, lost(9, 1))
    await desk.feed(WORKER, failed(8, 1, { span: encodedSpan(spanId(1)) }))
    expect((await desk.task())?.derived).toMatchObject({ state: 'failed', recovered: true })
    expect(await bodies(desk)).toEqual([])
  })
  test('the same word of the broker from several processes is told once, as it was told first', async () => {
    const desk = await told([WEB, ...SENT, settledFailed(9)])
    const first = await bodies(desk)
    await desk.feed(OTHER_WORKER, settledFailed(7))
    expect(await bodies(desk)).toEqual(first)
  })
})

describe('a request that nobody sampled', () => {
  const origin = requestRef(1, false)
  const unsampled = [opened(WEB), spawned(1, { origin }), confirmed(2)] as const
  const said = answered(3, 1, { origin, target: '/orders', parentSpanId: spanId(77) })

  test('is told again with its broken promise, so that this has something to hang on; once', async () => {
    const desk = await told([WEB, ...unsampled, said], [WORKER, started(4, 1), lost(9, 1)])
    expect(await desk.spans()).toMatchObject([
      { spanId: spanId(1), traceId: TRACE },
      {
        traceId: TRACE,
        spanId: origin.spanId,
        parentSpanId: spanId(77),
        name: 'POST /orders',
        kind: 'server',
        startMs: 2,
        endMs: 3,
        status: { code: 'unset' },
        flags: 1,
        resource: { 'service.name': 'shop' },
        attributes: {
          'http.request.method': 'POST',
          'http.route': '/orders',
          'http.response.status_code': 202,
          'url.path': '/orders',
        },
      },
    ])
    await desk.ledger.commit({ deliveredSpans: [spanId(1), origin.spanId] })
    await desk.feed(WORKER, started(10, 2), failed(11, 2))
    expect((await desk.spans()).map((span) => span.spanId)).toEqual([spanId(2)])
  })
  test('is left alone where it kept what it promised', async () => {
    const desk = await told([WEB, ...unsampled, said], [WORKER, started(4, 1), succeeded(9, 1)])
    expect(await desk.spans()).toEqual([])
  })
  test('is not told where somebody did sample it', async () => {
    const desk = await told([WEB, ...SENT, answered(3, 1)], [WORKER, started(4, 1), lost(9, 1)])
    expect((await desk.spans()).map((span) => span.spanId)).toEqual([spanId(1)])
  })
})

function pick({ traceId, spanId: id }: { readonly traceId: string; readonly spanId: string }): object {
  return { traceId, spanId: id }
}
