import { describe, expect, test } from 'vitest'
import { drawTrace } from '../../src/sink/trace-text.ts'
import type { StoredSpan } from '../../src/sink/stored-span.ts'
import { spanId, stored, TRACE_ID } from './sample-spans.ts'

const failed = (message?: string): Pick<StoredSpan, 'status'> => ({
  status: { code: 'error', ...(message === undefined ? {} : { message }) },
})

const ORDER: readonly StoredSpan[] = [
  stored('e', {
    name: 'process emails',
    kind: 'consumer',
    parent: 'b',
    service: 'worker',
    startMs: 1020,
    endMs: 2600,
    ...failed('connect ECONNREFUSED 127.0.0.1:2525'),
    attributes: {
      'error.type': 'SmtpError',
      'afterspan.task.state': 'failed',
      'afterspan.task.reason': 'retries_exhausted',
      'afterspan.task.attempt': 3,
      'afterspan.task.id': TRACE_ID,
    },
    links: [{ traceId: TRACE_ID, spanId: spanId('b'), attributes: {} }],
  }),
  stored('f', { name: 'render', parent: 'e', service: 'worker', startMs: 1021, endMs: 1022.25 }),
  stored('d', { name: 'INSERT orders', kind: 'client', parent: 'a', startMs: 1002 }),
  stored('c', { name: 'BEGIN', kind: 'client', parent: 'a', startMs: 1002 }),
  stored('b', { name: 'send emails', kind: 'producer', parent: 'a', startMs: 1005, endMs: 1005.5 }),
  stored('a', { name: 'POST /orders', kind: 'server', endMs: 1012.5 }),
]

describe('a drawn trace', () => {
  test('is a tree, ordered by start and then by name, whatever order the spans came in', () => {
    const expected = `
· POST /orders  SERVER shop  +0.00 ms  12.5 ms
├─ · BEGIN  CLIENT  +2.0 ms  8.0 ms
├─ · INSERT orders  CLIENT  +2.0 ms  8.0 ms
└─ · send emails  PRODUCER  +5.0 ms  0.50 ms
   └─ ✗ process emails  CONSUMER worker  +20.0 ms  1580 ms
      │ SmtpError: connect ECONNREFUSED 127.0.0.1:2525
      │ task.state=failed task.reason=retries_exhausted task.attempt=3
      └─ · render  INTERNAL  +21.0 ms  1.3 ms`
    expect(`\n${drawTrace(ORDER)}`).toBe(expected)
    expect(drawTrace(ORDER.toReversed())).toBe(drawTrace(ORDER))
  })

  test('is the same on every run where it is stable', () => {
    const expected = `
· POST /orders  SERVER shop
├─ · BEGIN  CLIENT
├─ · INSERT orders  CLIENT
└─ · send emails  PRODUCER
   └─ ✗ process emails  CONSUMER worker
      │ SmtpError: connect ECONNREFUSED 127.0.0.1:*
      │ task.state=failed task.reason=retries_exhausted task.attempt=3
      └─ · render  INTERNAL`
    expect(`\n${drawTrace(ORDER, { stable: true })}`).toBe(expected)
    const rerun = ORDER.map((span) => ({
      ...span,
      traceId: 'f'.repeat(32),
      startMs: span.startMs + 5000.5,
      endMs: span.endMs + 9000,
      links: span.links.map((link) => ({ ...link, traceId: 'f'.repeat(32) })),
    }))
    expect(`\n${drawTrace(rerun, { stable: true })}`).toBe(expected)
  })

  test('shows what hangs under a parent that is not there, and under which', () => {
    const spans = [
      stored('b', { parent: 'a', name: 'late', startMs: 1500 }),
      stored('c', { parent: 'a', name: 'later', startMs: 1600 }),
      stored('d', { parent: 'c', name: 'below', startMs: 1601 }),
      stored('e', { name: 'root', startMs: 1000 }),
      stored('1', { parent: '0', name: 'zero is an id like any other', startMs: 1700 }),
    ]
    const expected = `
· root  INTERNAL shop
(parent not received)
├─ · late  INTERNAL shop
└─ · later  INTERNAL shop
   └─ · below  INTERNAL
(parent not received)
└─ · zero is an id like any other  INTERNAL shop`
    expect(`\n${drawTrace(spans, { stable: true })}`).toBe(expected)
    expect(drawTrace(spans)).toContain('(parent aaaaaaaa… not received)')
  })

  test('says each failure with all that is known of it', () => {
    const exception = {
      name: 'exception',
      atMs: 1,
      attributes: { 'exception.type': 'E', 'exception.message': 'from the event' },
    }
    const spans = [
      stored('1', { ...failed(), startMs: 1, name: 'nothing known' }),
      stored('2', { ...failed('only a message'), startMs: 2 }),
      stored('3', { ...failed(), startMs: 3, attributes: { 'error.type': '500' } }),
      stored('4', { ...failed(), startMs: 4, events: [exception] }),
      stored('5', { startMs: 5, name: 'went well', events: [exception], status: { code: 'ok' } }),
      stored('6', {
        ...failed('killed by SIGKILL'),
        startMs: 6,
        attributes: {
          'error.type': 'afterspan.lost',
          'afterspan.crash.role': 'culprit',
          'afterspan.task.evidence': 'process_gone',
          'afterspan.task.reason': 'process_killed',
          'afterspan.task.state': 'lost',
        },
      }),
    ]
    const expected = `
✗ nothing known  INTERNAL shop
✗ 2  INTERNAL shop
  only a message
✗ 3  INTERNAL shop
  500
✗ 4  INTERNAL shop
  E: from the event
· went well  INTERNAL shop
✗ 6  INTERNAL shop
  afterspan.lost: killed by SIGKILL
  task.state=lost task.reason=process_killed task.evidence=process_gone crash.role=culprit`
    expect(`\n${drawTrace(spans, { stable: true })}`).toBe(expected)
  })

  test('leaves out that a first attempt succeeded, and tells everything else about a task', () => {
    const task = (over: Record<string, string | number>): string =>
      drawTrace(
        [
          stored('a', {
            attributes: Object.fromEntries(Object.entries(over).map(([key, value]) => [`afterspan.${key}`, value])),
          }),
        ],
        { stable: true },
      )
    expect(task({ 'task.state': 'succeeded', 'task.attempt': 1 })).toBe('· a  INTERNAL shop')
    expect(task({ 'task.attempt': 0 })).toBe('· a  INTERNAL shop')
    expect(task({ 'task.state': 'succeeded', 'task.attempt': 2 })).toContain('\n  task.state=succeeded task.attempt=2')
    expect(task({ 'task.state': 'cancelled' })).toContain('\n  task.state=cancelled')
    expect(task({ 'crash.role': 'bystander' })).toContain('\n  crash.role=bystander')
  })

  test('shows links by their short ids and, where it is here, by name', () => {
    const link = (trace: string, span: string) => ({ traceId: trace, spanId: span, attributes: {} })
    const spans = [
      stored('a', { links: [link('0123456789abcdef'.repeat(2), 'fedcba9876543210'), link(TRACE_ID, spanId('b'))] }),
      stored('b', { startMs: 2000, links: Array.from({ length: 10 }, () => link('', '')) }),
    ]
    expect(drawTrace(spans)).toContain('\n  → link 01234567/fedcba98\n  → link 4bf92f35/bbbbbbbb (b)\n')
    const expected = `
· a  INTERNAL shop
  → link
  → link (b)
· b  INTERNAL shop
${'  → link\n'.repeat(8)}  → 2 more links`
    expect(`\n${drawTrace(spans, { stable: true })}`).toBe(expected)
  })

  test('shows the attributes that were asked for, without what changes in a stable one', () => {
    const attributes = {
      'http.route': '/a',
      'afterspan.task.worker.pid': 4711,
      map: { b: [1n, 2] },
      raw: new Uint8Array(3),
    }
    const asked = ['http.route', 'afterspan.task.worker.pid', 'absent', 'map', 'raw']
    const spans = [stored('a', { attributes })]
    expect(drawTrace(spans, { attributes: asked, stable: true })).toBe(
      '· a  INTERNAL shop\n  http.route=/a afterspan.task.worker.pid=* map={"b":["1",2]} raw=3 bytes',
    )
    expect(drawTrace(spans, { attributes: asked })).toContain('afterspan.task.worker.pid=4711')
  })

  test('puts a star for what differs from run to run in texts from outside', () => {
    const draw = (name: string): string => drawTrace([stored('a', { name })], { stable: true }).split('  ')[0] ?? ''
    for (const [name, expected] of [
      ['connect ECONNREFUSED ::1:5432', 'connect ECONNREFUSED ::1:*'],
      ['GET http://localhost:3000/x', 'GET http://localhost:*/x'],
      ['process 4711 was killed (pid=4711)', 'process * was killed (pid=*)'],
      ['gone after 1500ms, 2.5 s and 30 seconds', 'gone after *ms, * s and * seconds'],
      [`job ${TRACE_ID}${spanId('a')} of 5d7e0c1e-4c27-4c1b-9c40-0c5d38f1a8f0`, 'job * of *'],
      ['at 2026-01-02T03:04:05.678Z', 'at *'],
      ['order 42 of 3 failed: 503, exit code 1, v2', 'order 42 of 3 failed: 503, exit code 1, v2'],
    ] as const)
      expect(draw(name)).toBe(`· ${expected}`)
  })
})

describe('spans that do not form a tree', () => {
  test('a ring of parents is cut where it starts first, and every span is drawn once', () => {
    const spans = [
      stored('c', { parent: 'b', startMs: 3 }),
      stored('b', { parent: 'a', startMs: 2 }),
      stored('a', { parent: 'c', startMs: 1 }),
      stored('d', { parent: 'c', startMs: 0 }),
      stored('e', { startMs: 5 }),
    ]
    const expected = `
(parents form a ring)
└─ · a  INTERNAL shop
   └─ · b  INTERNAL
      └─ · c  INTERNAL
         └─ · d  INTERNAL
· e  INTERNAL shop`
    expect(`\n${drawTrace(spans, { stable: true })}`).toBe(expected)
  })

  test('a span that is its own parent', () => {
    expect(drawTrace([stored('a', { parent: 'a' })], { stable: true })).toBe(
      '(parents form a ring)\n└─ · a  INTERNAL shop',
    )
  })

  test('spans with one id are all drawn; the children hang under the one that came first', () => {
    const first = stored('a', { name: 'first', startMs: 5 })
    const second = stored('a', { name: 'second', startMs: 3, duplicateId: true })
    const unmarked = stored('a', { name: 'third', startMs: 6 })
    const child = stored('b', { parent: 'a', startMs: 7 })
    const expected = `
· second  INTERNAL shop (same id as another span)
· first  INTERNAL shop
└─ · b  INTERNAL
· third  INTERNAL shop (same id as another span)`
    expect(`\n${drawTrace([first, second, unmarked, child], { stable: true })}`).toBe(expected)
    expect(`\n${drawTrace([second, child, first, unmarked], { stable: true })}`).toBe(expected)
  })

  test('two spans with one id that are parents of each other', () => {
    const spans = [stored('a', { parent: 'a' }), stored('a', { name: 'a2', parent: 'a', duplicateId: true })]
    expect(drawTrace(spans, { stable: true }).split('\n')).toHaveLength(3)
  })

  test('traces that are mixed stay apart', () => {
    const other = 'f'.repeat(32)
    const spans = [stored('a'), stored('b', { parent: 'a', traceId: other })]
    expect(drawTrace(spans, { stable: true })).toBe('· a  INTERNAL shop\n(parent not received)\n└─ · b  INTERNAL shop')
  })

  test('a chain as deep as the store is large is drawn, not indented for ever', () => {
    const id = (n: number): string => (n + 1).toString(16).padStart(16, '0')
    const spans = Array.from({ length: 20_000 }, (_, n): StoredSpan => ({
      ...stored('a', { name: `level ${n}`, startMs: n }),
      spanId: id(n),
      ...(n > 0 ? { parentSpanId: id(n - 1) } : {}),
    }))
    const lines = drawTrace(spans, { stable: true }).split('\n')
    expect(lines).toHaveLength(20_000)
    expect(lines.at(-1)).toMatch(/^ {192}└─ · level 19999 {2}INTERNAL$/)
  })

  test('no spans are no text', () => {
    expect(drawTrace([])).toBe('')
  })
})

describe('text from outside', () => {
  const ESC = '\u001b'
  test('cannot move the cursor, wherever it stands', () => {
    const evil = `a${ESC}[2Jb\nc\u202ed`
    const span = stored('a', {
      name: evil,
      service: evil,
      ...failed(evil),
      attributes: { 'error.type': evil, 'afterspan.task.reason': evil, [evil]: evil },
      links: [{ traceId: TRACE_ID, spanId: spanId('a'), attributes: {} }],
    })
    for (const stable of [true, false]) {
      const drawn = drawTrace([span], { stable, attributes: [evil] })
      expect(drawn).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/)
      expect(drawn.split('\n')).toHaveLength(5)
      expect(drawn).toContain('a\\u001b[2Jb\\u000ac\\u202ed')
    }
  })

  test('is cut', () => {
    const line = drawTrace([stored('a', { name: '🐎'.repeat(100_000) })])
    expect(line.length).toBeLessThan(400)
    expect(line).toContain('🐎…')
  })

  test('is coloured only where asked: errors red, facts dim', () => {
    const spans = [stored('a', failed('no'))]
    expect(drawTrace(spans)).not.toContain(ESC)
    expect(drawTrace(spans, { color: true, stable: true })).toBe(
      `${ESC}[31m✗ a${ESC}[39m  ${ESC}[2mINTERNAL shop${ESC}[22m\n  ${ESC}[31mno${ESC}[39m`,
    )
  })
})
