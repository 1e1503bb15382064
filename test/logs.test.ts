// Log lines carry the ids of their request where that is asked for, and are what they were otherwise.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { bothFormats, get, node as nodeOf, registerPath, startPreloaded } from '@afterspan/testing'
import { expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'

const KINDS = ['pino', 'winston', 'bunyan', 'console'] as const
type Lines = Readonly<Record<(typeof KINDS)[number] | 'outside', readonly string[]>>

/** What the app writes outside of requests, and in one request for each kind; the ids of that request as TRACE and SPAN. */
async function linesOf(app: string, asked: string, node?: string): Promise<Lines> {
  const running = startPreloaded({ app, env: { AFTERSPAN_LOG_TRACE: asked }, ...(node ? { node } : {}) })
  try {
    const url = await listening(running)
    await running.waitForLine(/^end outside$/)
    let seen = running.stdout.length
    const lines: Record<string, string[]> = { outside: running.stdout.split('\n').slice(1, -2) }
    for (const kind of KINDS) {
      const answer = await get(`${url}/${kind}`)
      await running.waitForLine(new RegExp(`^end ${kind}$`))
      const [, spanId] = /^00-[0-9a-f]{32}-([0-9a-f]{16})-/.exec(String(answer.headers['traceresponse']))!
      const written = running.stdout.slice(seen).replaceAll(traceIdOf(answer), 'TRACE').replaceAll(spanId!, 'SPAN')
      lines[kind] = written.split('\n').slice(0, -2)
      seen = running.stdout.length
    }
    expect(running.stderr).toBe('')
    return lines as unknown as Lines
  } finally {
    await running.stop()
  }
}

const OUTSIDE = [
  '{"level":30,"msg":"outside"}',
  '{"level":"info","message":"outside"}',
  '{"name":"app","hostname":"h","pid":1,"level":30,"time":"T","msg":"outside","v":0}',
  'outside',
]
const IDS = '"trace_id":"TRACE","span_id":"SPAN","trace_flags":"01"'
const TAIL = 'trace_id=TRACE span_id=SPAN'

bothFormats(
  'every kind of logger carries the ids inside of a request, and stays as it is outside',
  { cjs: appFile('logs.cjs'), mjs: appFile('logs.mjs') },
  async ({ app, node }) => {
    const lines = await linesOf(app, 'all', node.path)
    expect(lines.outside).toEqual(OUTSIDE)
    expect(lines.pino.map((line) => line.replace(/"stack":".*?[^\\]"/, '"stack":""'))).toEqual([
      `{"level":30,${IDS},"msg":"text"}`,
      `{"level":30,${IDS},"a":1,"msg":"with an object"}`,
      `{"level":40,"child":true,${IDS},"err":{"type":"Error","message":"wrong","stack":""},"msg":"wrong"}`,
      '{"level":30,"trace_id":"my own","span_id":"SPAN","trace_flags":"01","mine":1,"msg":"with a mixin"}',
    ])
    expect(lines.winston.map((line) => (line.startsWith('{') ? (JSON.parse(line) as object) : line))).toEqual([
      { level: 'info', message: 'text', a: 1, trace_id: 'TRACE', span_id: 'SPAN', trace_flags: '01' },
      { level: 'warn', message: 'of a child', child: true, trace_id: 'TRACE', span_id: 'SPAN', trace_flags: '01' },
      { level: 'info', message: 'an object of the app', trace_id: 'TRACE', span_id: 'SPAN', trace_flags: '01' },
      'info! a line of its own',
    ])
    expect(lines.bunyan.map((line) => JSON.parse(line) as object)).toMatchObject([
      { msg: 'text', a: 1, trace_id: 'TRACE', span_id: 'SPAN', trace_flags: '01' },
      { msg: 'of a child', child: true, trace_id: 'TRACE', span_id: 'SPAN', trace_flags: '01' },
    ])
    expect(lines.console).toEqual([
      `a raw line ${TAIL}`,
      `formatted is 1 ${TAIL}`,
      '{"level":"info","text":"a \\"quoted\\" }","trace_id":"TRACE","span_id":"SPAN"}',
      '{"trace_id":"TRACE","span_id":"SPAN"}',
      `{ not json } ${TAIL}`,
      `{ a: 1 } ${TAIL}`,
      '',
      `100% ${TAIL}`,
    ])
  },
)

test('nothing is touched where it is not asked for', async () => {
  const [none, pino] = await Promise.all(['none', 'pino'].map((asked) => linesOf(appFile('logs.cjs'), asked)))
  expect(JSON.stringify(none)).not.toMatch(/TRACE|SPAN/)
  expect(none!.outside).toEqual(OUTSIDE)
  expect(JSON.stringify(pino!.pino)).toContain('TRACE')
  expect(JSON.stringify([pino!.console, pino!.winston, pino!.bunyan])).not.toMatch(/TRACE|SPAN/)
})

const run = promisify(execFile)

test.each([
  ['has gone', '{ "$NODE" --require "$REGISTER" -e "$APP"; echo "code $?" >&3; } 2>&1 >&3 | true'],
  ['is closed', '"$NODE" --require "$REGISTER" -e "$APP" 2>&-; echo "code $?"'],
])('our own lines harm nobody where the reader of stderr %s', async (_, script) => {
  const { stdout } = await run('/bin/sh', ['-c', `exec 3>&1; ${script}`], {
    env: {
      NODE: nodeOf(24).path,
      REGISTER: registerPath(),
      APP: 'setTimeout(() => { console.log("alive"); process.exitCode = 7 }, 300)',
      OTEL_TRACES_EXPORTER: 'none',
      AFTERSPAN_TRACE_RESPONSE: 'nonsense',
      AFTERSPAN_UNKNOWN_VARIABLE: '1',
    },
  })
  expect(stdout).toBe('alive\ncode 7\n')
})
