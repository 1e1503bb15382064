import { appendFileSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { EpochMs, HealthChange } from '@afterspan/core/internal'
import { expect, test } from 'vitest'
import { tempDir } from '../../testing/src/temp-dir.ts'
import { createHealthLog, readHealthLogs } from '../src/health-log.ts'
import { ownWorkerRef } from '../src/worker-ref.ts'

const now = (): EpochMs => 1 as EpochMs

function change(at: number, more: Partial<HealthChange> = {}): HealthChange {
  return { name: 'db', component: 'postgresql', required: true, to: 'fail', at: at as EpochMs, ...more }
}
const only = (dir: string): string => join(dir, 'health', readdirSync(join(dir, 'health'))[0]!)

test('nothing is written before the first change', () => {
  const dir = tempDir('health-log')
  createHealthLog(dir, ownWorkerRef('shop'), now)
  expect(existsSync(join(dir, 'health'))).toBe(false)
  expect(readHealthLogs(dir)).toEqual([])
})

test('changes are read as they were told, without the one that was torn by the death', () => {
  const dir = tempDir('health-log')
  const worker = ownWorkerRef('shop')
  const log = createHealthLog(dir, worker, now)
  log.add(change(1, { code: 'timeout' }))
  log.add(change(2, { to: 'pass' }))
  appendFileSync(only(dir), '{"name":"db","to":"fa')
  expect(readHealthLogs(dir)).toEqual([
    { worker, openedAt: 1, changes: [change(1, { code: 'timeout' }), change(2, { to: 'pass' })] },
  ])
  expect(statSync(only(dir)).mode & 0o077).toBe(0)
})

test('a file that was taken away comes back whole', () => {
  const dir = tempDir('health-log')
  const log = createHealthLog(dir, ownWorkerRef('shop'), now)
  log.add(change(1))
  rmSync(join(dir, 'health'), { recursive: true })
  log.add(change(2))
  mkdirSync(join(dir, 'health'), { recursive: true })
  log.add(change(3))
  expect(readHealthLogs(dir)[0]?.changes.map(({ at }) => at)).toEqual([1, 2, 3])
})

test('however often it flaps, the file is bounded, and knows the last of each check', () => {
  const dir = tempDir('health-log')
  const log = createHealthLog(dir, ownWorkerRef('shop'), now)
  log.add(change(1, { name: 'rare' }))
  for (let at = 2; at < 3000; at++) log.add(change(at, { reason: 'x'.repeat(300) }))
  expect(statSync(only(dir)).size).toBeLessThan(150_000)
  const [history] = readHealthLogs(dir)
  expect(history!.changes[0]).toMatchObject({ name: 'rare', at: 1 })
  expect(history!.changes.at(-1)).toMatchObject({ at: 2999 })
})

test('many dead processes leave room for the next', () => {
  const dir = tempDir('health-log')
  mkdirSync(join(dir, 'health'))
  for (let i = 0; i < 150; i++)
    writeFileSync(join(dir, 'health', `${i.toString(16).padStart(16, '0')}.0.jsonl`), '{"not":"a history"}\n')
  createHealthLog(dir, ownWorkerRef('shop'), now).add(change(1))
  expect(readdirSync(join(dir, 'health')).length).toBeLessThanOrEqual(100)
  expect(readHealthLogs(dir)[0]?.changes).toEqual([change(1)])
})
