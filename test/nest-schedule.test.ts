// A run by @Cron, @Interval or @Timeout failed, and counted as one that went well, or as nothing: Nest catches it and logs it.
import { formatsInTurn, nodesUnderTest, runApp, startPreloaded, tempDir, type NodeUnderTest } from '@afterspan/testing'
import { drawTrace, startOtlpSink } from 'afterspan/internal'
import { describe, expect, test } from 'vitest'
import { appFile } from './app.ts'

const failed = (error: string, reason: string): string =>
  `  ${error}\n  task.state=failed task.reason=${reason} task.attempt=1`
const LOST =
  '  process_killed: the process is gone and left no exit record: SIGKILL, out of memory or alike\n  task.state=lost task.reason=process_killed task.evidence=process_gone task.attempt=1'
/** What the clock tells itself, and what the patrol tells of it. */
const ITSELF = {
  'Reports.nightly': '· process Reports.nightly  CONSUMER clock',
  'by mail': `✗ process by mail  CONSUMER clock\n${failed('TypeError: no paper', 'rejected')}`,
  'Reports.poll': `✗ process Reports.poll  CONSUMER clock\n${failed('RangeError: no source', 'threw')}`,
}
const KILLED = {
  'Reports.hangs': `✗ process Reports.hangs  CONSUMER clock\n${LOST}`,
  'warm-up': `✗ process warm-up  CONSUMER clock\n${LOST}`,
}

describe('timetables of @nestjs/schedule', () => {
  formatsInTurn(
    'each run is a task of its own, and Nest logs what it would without us',
    { cjs: appFile('nest/schedule.cjs'), mjs: appFile('nest/schedule.mjs') },
    async ({ app, node }) => {
      const { told, ours, without } = await runTimetables(app, node, {})
      expect(told).toEqual({ ...ITSELF, ...KILLED })
      expect(ours).toEqual(without)
    },
  )
  // Of its @Interval and @Timeout Node 24 has taken away what they need.
  test.each(nodesUnderTest().filter(({ major }) => major === 22))('of Nest 10 too: Node $major', async (node) => {
    const { told, ours, without } = await runTimetables(appFile('nest/schedule.cjs'), node, { NEST: '10' })
    expect(told).toEqual({ ...ITSELF, ...KILLED })
    expect(ours).toEqual(without)
  })
})

/** What the trace of a run of each shows, and what Nest has logged of them, with us and without. */
async function runTimetables(app: string, node: NodeUnderTest, more: Readonly<Record<string, string>>): Promise<Runs> {
  const sink = await startOtlpSink()
  const ledgerDir = tempDir('ledger')
  const env = { NO_COLOR: '1', OTEL_BSP_SCHEDULE_DELAY: '5', ...more }
  const start = (role: string): ReturnType<typeof startPreloaded> =>
    startPreloaded({ app, node: node.path, sink, ledgerDir, env: { ...env, ROLE: role, OTEL_SERVICE_NAME: role } })
  const watch = start('watch')
  const clock = start('clock')
  const plain = runApp({ args: [app], node: node.path, env })
  const isTold = (name: string): boolean => sink.spans().some((span) => span.name === `process ${name}`)
  await Promise.all([clock, plain].flatMap((each) => [each.waitForLine(/^all hang$/, 20_000), untilLogged(each)]))
  await sink.waitFor(() => Object.keys(ITSELF).every(isTold), 20_000)
  await Promise.all([clock.stop(), plain.stop()])
  await sink.waitFor(() => Object.keys(KILLED).every(isTold), 20_000)
  const told = new Map<string, string>()
  for (const { name, traceId, attributes } of sink.spans()) {
    expect(attributes['messaging.system']).toBe('@nestjs/schedule')
    const run = name.replace('process ', '')
    if (!told.has(run)) told.set(run, drawTrace(sink.trace(traceId), { stable: true }))
  }
  await watch.stop()
  await sink.close()
  return { told: Object.fromEntries(told), ours: logged(clock.stderr), without: logged(plain.stderr) }
}
interface Runs {
  readonly told: Readonly<Record<string, string>>
  readonly ours: readonly string[]
  readonly without: readonly string[]
}

async function untilLogged(app: ReturnType<typeof runApp>): Promise<void> {
  await app.waitForLine(/no paper$/, 20_000)
  await app.waitForLine(/no source$/, 20_000)
}

/** The different errors that Nest has logged: what it said, and the app's part of the stack. */
function logged(stderr: string): readonly string[] {
  const all = stderr
    .split(/^\[Nest\].*(?=\[Scheduler\])/m)
    .slice(1)
    .map((each) => each.replaceAll(/^ {4}at .*node:internal.*\n/gm, ''))
  return [...new Set(all)].toSorted()
}
