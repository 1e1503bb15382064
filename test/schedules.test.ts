import { formatsInTurn, get, startPreloaded, tempDir } from '@afterspan/testing'
import { drawTrace, startOtlpSink } from 'afterspan/internal'
import { describe, expect } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'

const STATES = { well: 'succeeded', broken: 'failed', hung: 'lost' } as const

const SYSTEMS = ['node-cron', 'croner', 'cron', 'node-schedule']

describe('timetables of node-cron, croner, cron and node-schedule', () => {
  formatsInTurn(
    'each run is a task of its own, in a trace of its own, also when it was killed',
    { cjs: appFile('schedules.cjs'), mjs: appFile('schedules.mjs') },
    async ({ app, node }) => {
      const sink = await startOtlpSink()
      const ledgerDir = tempDir('ledger')
      const start = (role: string): ReturnType<typeof startPreloaded> =>
        startPreloaded({ app, node: node.path, sink, ledgerDir, env: { ROLE: role, OTEL_SERVICE_NAME: role } })
      const watch = start('watch')
      await watch.waitForLine(/^ready$/)
      const clock = start('clock')
      const request = traceIdOf(await get(await listening(clock)))
      await clock.waitForLine(/^all hang$/)
      const told = (system: string, name: string): string | undefined =>
        sink
          .spans()
          .find(({ name: of, attributes }) => of === `process ${name}` && attributes['messaging.system'] === system)
          ?.traceId
      const wait = (names: readonly (keyof typeof STATES)[]): Promise<void> =>
        sink.waitFor(() => SYSTEMS.every((system) => names.every((name) => told(system, name) !== undefined)), 20_000)
      await wait(['well', 'broken'])
      // What nobody caught had been told of the request too, which had made the job.
      await sink.waitFor(() => told('croner', 'loose') !== undefined)
      await clock.stop()
      await wait(['well', 'broken', 'hung'])
      for (const system of SYSTEMS)
        for (const [name, state] of Object.entries(STATES)) {
          const [span, ...others] = sink.trace(told(system, name)!)
          expect(others).toEqual([])
          expect(span).toMatchObject({ kind: 'consumer', attributes: { 'afterspan.task.state': state } })
          expect(span!.parentSpanId).toBeUndefined()
        }
      expect(drawTrace(sink.trace(told('croner', 'broken')!), { stable: true })).toMatchInlineSnapshot(`
        "✗ process broken  CONSUMER clock
          TypeError: no paper
          task.state=failed task.reason=rejected task.attempt=1"
      `)
      expect(drawTrace(sink.trace(told('node-cron', 'hung')!), { stable: true })).toMatchInlineSnapshot(`
        "✗ process hung  CONSUMER clock
          process_killed: the process is gone and left no exit record: SIGKILL, out of memory or alike
          task.state=lost task.reason=process_killed task.evidence=process_gone task.attempt=1"
      `)
      expect(sink.trace(request)).toMatchObject([{ kind: 'server' }])
      expect(clock.stderr + watch.stderr).toBe('')
      await Promise.all([watch.stop(), sink.close()])
    },
  )
})
