import { expect, test } from 'vitest'
import { grouped } from '../../src/report/incidents.ts'
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

test('what the patrol has proven is told apart; what its process could tell itself is not in it', async () => {
  const stage = new Stage()
  const proven: Incident[] = []
  const patrol = await stage.patrol({ onProven: (all) => proven.push(...all) })
  stage.write(WORKER, started(1, 1, { taskId: taskIdOf(1) }), failed(2, 1, { taskId: taskIdOf(1) }))
  stage.write(WORKER, started(3, 2, { taskId: taskIdOf(2) }))
  await patrol.sweepOnce()
  expect(proven).toEqual([])
  stage.seen.set(WORKER, 'dead')
  await patrol.sweepOnce()
  await patrol.sweepOnce()
  expect(proven).toMatchObject([{ kind: 'task_lost', taskId: taskIdOf(2), failure: { type: 'process_killed' } }])
})

test('a few incidents of a kind are told one by one, many as one of the newest with their number', () => {
  const lost = (at: number, route?: string): Incident => ({
    kind: 'task_lost',
    at: ms(at),
    taskId: taskIdOf(at),
    failure: { type: 'process_killed', message: '' },
    ...(route ? { route } : {}),
  })
  const few = [1, 2, 3, 4, 5].map((at) => lost(at, '/few'))
  const many = [11, 13, 12, 14, 10, 9].map((at) => lost(at))
  expect(grouped([...few, ...many])).toEqual([...few, { ...lost(14), count: 6 }])
})
