import { expect, test } from 'vitest'
import { KnownProcesses, MOST_DEAD, writersOf } from '../../src/patrol/known-processes.ts'
import type { LedgerStore } from '../../src/ledger/store.ts'
import { processRow } from '../ledger/rows.ts'
import { MemoryLedger } from '../ledger/memory-ledger.ts'
import { confirmed, ms, spawned, started, TASK, tell, WEB, WORKER } from '../sample-events.ts'
import { taskOf } from '../ledger/rows.ts'
import { Stage } from './stage.ts'

const keyOf = (n: number): string => `${n.toString(16).padStart(16, '0')}.0`

function ledgerWith(count: number): LedgerStore & { readonly asked: string[][] } {
  const asked: string[][] = []
  const processesOf: LedgerStore['processesOf'] = async (keys) => {
    asked.push([...keys])
    return keys.filter((key) => Number.parseInt(key, 16) < count).map((key) => processRow(key, { deadAt: ms(1) }))
  }
  return { asked, processesOf } as never
}

test('those that died last are at hand, and their number has an end; of the living nobody goes', () => {
  const processes = new KnownProcesses()
  for (let n = 0; n < MOST_DEAD + 10; n++) processes.set(processRow(keyOf(n)))
  expect(processes.size).toBe(MOST_DEAD + 10)
  for (let n = 0; n < MOST_DEAD + 5; n++) processes.set(processRow(keyOf(n), { deadAt: ms(n + 1) }))
  // Not before their files are gone.
  expect([processes.size, processes.isDead(keyOf(0))]).toEqual([5, true])
  processes.trim()
  expect([0, 4, 5, MOST_DEAD + 4].map((n) => processes.isDead(keyOf(n)))).toEqual([false, false, true, true])
  expect(processes.get(keyOf(MOST_DEAD + 7))?.deadAt).toBeUndefined()
  processes.forgetDeadBefore(ms(20))
  expect([keyOf(18), keyOf(19)].map((key) => processes.isDead(key))).toEqual([false, true])
})

test('others are asked for once, together, and are as many as they have to be', async () => {
  const processes = new KnownProcesses()
  const ledger = ledgerWith(5_000)
  processes.set(processRow(keyOf(1)))
  await processes.find([keyOf(1), keyOf(2), keyOf(2), keyOf(9_999)], ledger)
  await processes.find([keyOf(1), keyOf(2)], ledger)
  expect(ledger.asked).toEqual([[keyOf(2), keyOf(9_999)]])
  expect([keyOf(1), keyOf(2), keyOf(9_999)].map((key) => processes.get(key)?.key)).toEqual([
    keyOf(1),
    keyOf(2),
    undefined,
  ])
  // What they were is no word on what they are.
  expect([processes.isDead(keyOf(2)), processes.ofFolder(keyOf(2))]).toEqual([false, undefined])
  const many = Array.from({ length: 3_000 }, (_, n) => keyOf(n + 10))
  await processes.find(many, ledger)
  expect(many.every((key) => processes.get(key))).toBe(true)
  expect(processes.get(keyOf(2))).toBeUndefined()
})

test('all who have to do with a batch and its tasks are asked for', () => {
  const row = taskOf(1, 0, 10, ...tell(WEB, spawned(1), confirmed(2)), ...tell(WORKER, started(3, 1)))
  const told = [{ by: 'a.0', events: [] }]
  expect(new Set(writersOf(told, [row], []))).toEqual(new Set(['a.0', WEB, WORKER]))
})

test('a process for each job stayed in the memory of the patrol for weeks; receipts name them all the same', async () => {
  const stage = new Stage(new MemoryLedger())
  const patrol = await stage.patrol()
  const keys = Array.from({ length: MOST_DEAD + 20 }, (_, n) => keyOf(n))
  for (const key of keys) {
    stage.write(key, { kind: 'exiting', at: ms(2), code: 0 })
    stage.seen.set(key, 'dead')
  }
  stage.write(keyOf(0), spawned(1), confirmed(2), started(3, 1))
  await patrol.sweepOnce()
  expect(patrol.processes.size).toBe(0)
  expect(stage.files()).toEqual([])
  expect([...patrol.processes.allOfFolder()]).toHaveLength(MOST_DEAD)
  const next = await stage.patrol()
  expect([...next.processes.allOfFolder()]).toHaveLength(MOST_DEAD)
  const by = (await stage.ledger.tasks([TASK])).get(TASK)!.facts.attempts[0]!.by
  await next.processes.find([by], stage.ledger)
  expect(next.processes.get(by)?.worker.service).not.toBe('')
})
