// What the packages of Nest catch, and only log, while the request has been answered 200.
import {
  formatsInTurn,
  get,
  nodesUnderTest,
  runApp,
  startPreloaded,
  tempDir,
  type NodeUnderTest,
} from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { describe, expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'
import { expectReceipt, toldTrace } from './receipts.ts'

const ends = (name: string, more: object): object => ({ tasks: [{ name: `Mailer.${name}`, ...more }] })
const kept = (name: string): object => ({ verdict: 'kept', ...ends(name, { state: 'succeeded' }) })
const failed = (name: string, reason: string, message: string): object => ({
  verdict: 'broken',
  ...ends(name, { state: 'failed', reason, attempts: [{ failure: { type: 'TypeError', message } }] }),
})
const HUNG = { verdict: 'broken', ...ends('hangs', { state: 'lost', reason: 'process_killed' }) }
const EVENTS = {
  'emit/throws': failed('throws', 'threw', 'no address'),
  'emit/rejects': failed('rejects', 'rejected', 'no mail for 7'),
  'late/throws': failed('throws', 'threw', 'no address'),
  'late/rejects': failed('rejects', 'rejected', 'no mail for 7'),
  'async/rejects': failed('rejects', 'rejected', 'no mail for 7'),
  'emit/done': kept('done'),
  'emit/later': kept('later'),
  'emit/getsOver': kept('getsOver'),
  'emit/nobody': { verdict: 'unknown', tasks: [] },
  // The app gets this one itself.
  'async/loud': { verdict: 'unknown', tasks: [] },
}

describe('listeners of @nestjs/event-emitter', () => {
  formatsInTurn(
    'that fail or die fail the request that emitted, and are logged as without us',
    { cjs: appFile('nest/events.cjs'), mjs: appFile('nest/events.mjs') },
    async ({ app, node }) => {
      const told = await expectFollowedListeners({ app, node })
      expect(told.ours).toEqual(told.without)
    },
  )
  test('of Nest 10 are followed too', async () => {
    const node = nodesUnderTest()[0]!
    const told = await expectFollowedListeners({ app: appFile('nest/events.cjs'), node, env: { NEST: '10' } })
    expect(told.ours).toEqual(told.without)
  })
})

/** Returns what Nest has logged, with us and without. */
async function expectFollowedListeners(run: {
  readonly app: string
  readonly node: NodeUnderTest
  readonly env?: Readonly<Record<string, string>>
}): Promise<{ readonly ours: readonly string[]; readonly without: readonly string[] }> {
  const node = run.node.path
  const env = { NO_COLOR: '1', OTEL_SERVICE_NAME: 'shop', OTEL_BSP_SCHEDULE_DELAY: '5', ...run.env }
  const sink = await startOtlpSink()
  const common = { app: run.app, node, sink, ledgerDir: tempDir('ledger'), env }
  const app = startPreloaded(common)
  const plain = runApp({ args: [run.app], node, env })
  const [url, plainUrl] = [await listening(app), await listening(plain)]
  const traces = new Map<string, string>()
  const answers: [string[], string[]] = [[], []]
  for (const path of [...Object.keys(EVENTS), 'emit/hangs']) {
    const answer = await get(`${url}/${path}`)
    expect(answer.status).toBe(200)
    traces.set(path, traceIdOf(answer))
    answers[0].push(answer.text)
    answers[1].push((await get(`${plainUrl}/${path}`)).text)
  }
  expect(answers[0]).toEqual(answers[1])
  await app.waitForLine(/^hanging$/)
  const admin = await app.adminUrl()
  for (const [path, receipt] of Object.entries(EVENTS)) await expectReceipt(admin, traces.get(path)!, receipt)
  expect(await toldTrace(sink, traces.get('late/throws')!, 'failed')).toContain(
    '└─ ✗ Mailer.throws  INTERNAL\n     TypeError: no address\n     task.state=failed task.reason=threw',
  )
  await Promise.all([app.stop(), plain.stop()])
  const witness = startPreloaded(common)
  await expectReceipt(await witness.adminUrl(), traces.get('emit/hangs')!, HUNG)
  await witness.stop()
  await sink.close()
  expect(logged(app.stderr)).toHaveLength(5)
  return { ours: logged(app.stderr), without: logged(plain.stderr) }
}

/** Each error that Nest has logged: what it said, and the app's part of the stack. */
function logged(stderr: string): readonly string[] {
  return stderr
    .split(/^\[Nest\].*(?=\[Event\])/m)
    .slice(1)
    .map((each) => each.replaceAll(/^ {4}at .*node:internal.*\n/gm, ''))
    .toSorted()
}
