import { expect, test } from 'vitest'
import { renderMetrics, type MetricFamily } from '@afterspan/core/internal'
import { patrolMetrics } from '../../src/patrol/metrics.ts'
import type { PatrolService } from '../../src/patrol/service.ts'
import { answered, failed, requestRef, spawned, started, WEB, WORKER } from '../sample-events.ts'
import { Stage } from './stage.ts'

function textOf(families: readonly MetricFamily[]): string[] {
  return renderMetrics(families, false)
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
}

test('whoever does not patrol has nothing to add', async () => {
  expect(await patrolMetrics({ patrol: undefined, ledger: undefined } as PatrolService)()).toEqual([])
})

test('what was counted, what is open, how long a death took to be seen', async () => {
  const stage = new Stage()
  const patrol = await stage.patrol()
  stage.write(WEB, spawned(1), answered(2, 1))
  stage.write(WORKER, started(3, 1), started(4, 2, { taskId: 'x'.repeat(48) as never }))
  await patrol.sweepOnce()
  await stage.clock.advance(700)
  stage.write(WEB, failed(5, 1))
  stage.seen.set(WORKER, 'dead')
  await patrol.sweepOnce()
  const collect = patrolMetrics({ patrol, ledger: stage.ledger } as unknown as PatrolService)
  const families = await collect()
  expect(families.map(({ name, type }) => [name, type])).toEqual([
    ['afterspan_tasks', 'counter'],
    ['afterspan_requests_effective', 'counter'],
    ['afterspan_tasks_forgotten', 'counter'],
    ['afterspan_tasks_open', 'gauge'],
    ['afterspan_patrol_last_run_timestamp_seconds', 'gauge'],
    ['afterspan_ledger_torn_records', 'counter'],
    ['afterspan_ledger_strange_records', 'counter'],
    ['afterspan_ledger_nameless_writers', 'counter'],
    ['afterspan_patrol_undelivered_spans', 'counter'],
    ['afterspan_patrol_detection_seconds', 'histogram'],
    ['afterspan_task_duration_seconds', 'histogram'],
  ])
  const lines = textOf(families)
  expect(lines).toContain(`afterspan_patrol_last_run_timestamp_seconds ${stage.clock.now() / 1000}`)
  expect(lines).toContain('afterspan_tasks_open{state="running"} 0')
  expect(lines).toContain('afterspan_patrol_detection_seconds_count 1')
  expect(lines.find((line) => line.includes('outcome="false_success"'))).toMatch(/ 1$/)
  const bucket = 'afterspan_task_duration_seconds_bucket{'
  const { traceId } = requestRef()
  const open = renderMetrics(families, true)
  for (const start of [bucket, 'afterspan_tasks_total{', 'afterspan_requests_effective_total{'])
    expect(
      open.split('\n').filter((line) => line.startsWith(start) && line.includes(`trace_id="${traceId}"`)),
    ).toHaveLength(1)
  // Each death is recorded once.
  expect(textOf(await collect())).toContain('afterspan_patrol_detection_seconds_count 1')
})
