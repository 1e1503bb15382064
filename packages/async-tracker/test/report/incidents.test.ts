import { expect, test } from 'vitest'
import type { Incident } from '@afterspan/core/internal'
import { failed, ms, requestRef, spawned, started, taskIdOf, WORKER } from '../sample-events.ts'
import { Stage } from '../patrol/stage.ts'

test('the patrol tells each failed and each lost task once, and each crash', async () => {
  const stage = new Stage()
  const incidents: Incident[] = []
  const patrol = await stage.patrol({ onIncidents: (all) => incidents.push(...all) })
  const [one, two, three] = [1, 2, 3].map((n) => ({ taskId: taskIdOf(n) }))
  stage.write(WORKER, spawned(1, one), started(2, 1, one), failed(3, 1, { ...one, willRetry: true }))
  await patrol.sweepOnce()
  expect(incidents).toEqual([])
  stage.write(WORKER, started(4, 2, one), failed(5, 2, one), started(6, 3, two), started(7, 4, three))
  await patrol.sweepOnce()
  expect(incidents).toMatchObject([{ kind: 'task_failed', taskId: taskIdOf(1), trace: requestRef(), at: 5 }])

  stage.write(WORKER, {
    kind: 'crashed',
    at: ms(8),
    failure: { type: 'TypeError', message: 'x' },
    culprit: requestRef(9),
  })
  stage.seen.set(WORKER, 'dead')
  await patrol.sweepOnce()
  await patrol.sweepOnce()
  expect(incidents.slice(1).map(({ kind, taskId }) => [kind, taskId])).toEqual([
    ['crash', undefined],
    ['task_lost', taskIdOf(2)],
    ['task_lost', taskIdOf(3)],
  ])
  expect(incidents[1]).toMatchObject({ trace: requestRef(9), failure: { type: 'TypeError' } })
})
