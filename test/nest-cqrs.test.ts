// What handles an event of @nestjs/cqrs, and what a saga asks for, failed behind a request that had been answered: Nest catches and logs it.
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
import { expectReceipt } from './receipts.ts'

const failed = (name: string, reason: string, message: string): object => ({
  verdict: 'broken',
  tasks: [{ name, state: 'failed', reason, attempts: [{ failure: { message } }] }],
})
const ENDS = {
  'publish/Throws': failed('ThrowsHandler', 'threw', 'no address'),
  'publish/Rejects': failed('RejectsHandler', 'rejected', 'no mail'),
  'publish/Scoped': failed('ScopedHandler', 'rejected', 'no mail'),
  'publish/Asks': failed('Ship', 'rejected', 'no mail'),
  'publish/Done': { verdict: 'kept', tasks: [{ name: 'DoneHandler', state: 'succeeded' }] },
  // The app gets this one itself.
  execute: { verdict: 'unknown', tasks: [] },
}
const BREAKS = { 'publish/Breaks': failed('breaks', 'threw', 'no saga') }
const HUNG = { verdict: 'broken', tasks: [{ name: 'HangsHandler', state: 'lost', reason: 'process_killed' }] }

describe('events of @nestjs/cqrs', () => {
  formatsInTurn(
    'whose handlers and sagas fail or die fail the request that published, and are logged as without us',
    { cjs: appFile('nest/cqrs.cjs'), mjs: appFile('nest/cqrs.mjs') },
    async ({ app, node }) => {
      const { ours, without } = await expectFollowed(app, node, { ...ENDS, ...BREAKS })
      expect(ours).toEqual(without)
    },
  )
  test('of Nest 10 are followed too', async () => {
    const node = nodesUnderTest()[0]!
    const { ours, without } = await expectFollowed(appFile('nest/cqrs.cjs'), node, ENDS, { NEST: '10' })
    expect(ours).toEqual(without)
  })
})

/** Returns what Nest has logged, with us and without. */
async function expectFollowed(
  app: string,
  { path: node }: NodeUnderTest,
  ends: Readonly<Record<string, object>>,
  more: Readonly<Record<string, string>> = {},
): Promise<{ readonly ours: readonly string[]; readonly without: readonly string[] }> {
  const env = { NO_COLOR: '1', ...more }
  const sink = await startOtlpSink()
  const common = { app, node, sink, ledgerDir: tempDir('ledger'), env }
  const followed = startPreloaded(common)
  const plain = runApp({ args: [app], node, env })
  const [url, plainUrl] = [await listening(followed), await listening(plain)]
  const traces = new Map<string, string>()
  for (const path of [...Object.keys(ends), 'publish/Hangs']) {
    const answer = await get(`${url}/${path}`)
    expect([answer.status, answer.text]).toEqual([200, (await get(`${plainUrl}/${path}`)).text])
    traces.set(path, traceIdOf(answer))
  }
  await followed.waitForLine(/^hanging$/)
  const admin = await followed.adminUrl()
  for (const [path, receipt] of Object.entries(ends)) await expectReceipt(admin, traces.get(path)!, receipt)
  await Promise.all([followed.stop(), plain.stop()])
  const witness = startPreloaded(common)
  await expectReceipt(await witness.adminUrl(), traces.get('publish/Hangs')!, HUNG)
  await witness.stop()
  await sink.close()
  expect(logged(followed.stderr).length).toBeGreaterThanOrEqual(4)
  return { ours: logged(followed.stderr), without: logged(plain.stderr) }
}

/** Each line that Nest has logged, and the app's part of a stack. */
function logged(stderr: string): readonly string[] {
  return stderr
    .split(/^\[Nest\].*(?=\[EventBus\])/m)
    .slice(1)
    .map((each) => each.replaceAll(/^ {4}at .*node:internal.*\n/gm, ''))
    .toSorted()
}
