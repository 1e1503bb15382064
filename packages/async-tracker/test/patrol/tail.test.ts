import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { JournalEvent, TaskId } from '@afterspan/core/internal'
import { journalDir } from '../../src/journal/segment.ts'
import { listSegments, tail, type Tailed } from '../../src/patrol/tail.ts'
import { missing } from '../journal/bytes.ts'
import { confirmed, hex, opened, spawned, started, WEB, WORKER } from '../sample-events.ts'
import { Stage } from './stage.ts'

const EVENTS = 6_000

function idOf(n: number): TaskId {
  return hex(n, 48) as TaskId
}

/** What two writers have left, much more than a round takes: one promised the tasks that the other began. */
function backlog(): { stage: Stage; written: Record<string, JournalEvent[]> } {
  const stage = new Stage()
  const written: Record<string, JournalEvent[]> = {
    [WEB]: Array.from({ length: EVENTS }, (_, n) => spawned(n, { taskId: idOf(n) })),
    [WORKER]: Array.from({ length: EVENTS }, (_, n) => started(n, n, { taskId: idOf(n) })),
  }
  for (const [key, events] of Object.entries(written)) {
    stage.write(key, ...events.slice(0, EVENTS / 3))
    stage.rotate(key)
    stage.write(key, ...events.slice(EVENTS / 3))
  }
  return { stage, written }
}

function readAll(dir: string, isFinal = false): Tailed[] {
  const offsets = new Map<string, number>()
  const rounds: Tailed[] = []
  for (;;) {
    const round = tail(dir, listSegments(dir), offsets, () => isFinal)
    if (round.segments.length === 0) return rounds
    for (const { file, offset } of round.segments) offsets.set(file, offset)
    rounds.push(round)
  }
}

test('a long backlog is read in bounded rounds, each writer all of it and in its order', () => {
  const { stage, written } = backlog()
  const rounds = readAll(stage.dir)
  expect(rounds.length).toBeGreaterThan(2)
  expect(rounds.map(({ hasMore }) => hasMore)).toEqual(rounds.map((_, i) => i < rounds.length - 1))
  for (const key of [WEB, WORKER]) {
    const read = rounds.flatMap(({ batches }) => batches.filter(({ by }) => by === key).flatMap(({ events }) => events))
    expect(
      missing(
        written[key]!,
        read.filter(({ kind }) => kind !== 'opened'),
      ),
    ).toBe(0)
  }
})

test('of a long backlog the promise of a task and its run are read in one round', () => {
  const { stage } = backlog()
  const roundsOf = new Map<string, Set<number>>()
  for (const [n, { batches }] of readAll(stage.dir).entries())
    for (const event of batches.flatMap(({ events }) => events))
      if ('taskId' in event) roundsOf.set(event.taskId, (roundsOf.get(event.taskId) ?? new Set()).add(n))
  const torn = [...roundsOf.values()].filter(({ size }) => size > 1)
  expect(torn.length).toBeLessThan(EVENTS / 4) // those at the borders of rounds
})

test('a segment is begun only after the one before it was read to its end', () => {
  const stage = new Stage()
  const events = Array.from({ length: EVENTS }, (_, n) => spawned(n, { taskId: idOf(n) }))
  stage.write(WEB, ...events)
  stage.rotate(WEB)
  stage.write(WEB, confirmed(1, { taskId: idOf(0) }))
  const rounds = readAll(stage.dir)
  expect(rounds.length).toBeGreaterThan(1)
  expect(rounds.slice(0, -1).flatMap(({ segments }) => segments.map(({ file }) => file))).not.toContain(
    stage.segment(WEB).split('/').at(-1),
  )
})

test('what cannot be read, or is no file of ours, does not keep a round from its end', () => {
  const stage = new Stage()
  stage.write(WORKER, started(1, 1))
  symlinkSync('/dev/zero', join(journalDir(stage.dir), `${WEB}.000001.wal`))
  const [round, ...more] = readAll(stage.dir, true)
  expect(more).toEqual([])
  expect(round?.hasMore).toBe(false)
  expect(round?.batches).toEqual([{ by: WORKER, events: [opened(WORKER), started(1, 1)] }])
})

test('while a patrol catches up, others on its thread have their turn', async () => {
  const { stage } = backlog()
  const patrol = await stage.patrol()
  let turns = 0
  const count = (): void => {
    turns++
    turn = setImmediate(count)
  }
  let turn = setImmediate(count)
  const { ingested } = await patrol.sweepOnce()
  clearImmediate(turn)
  expect(ingested).toBe(2 * EVENTS + 4)
  expect(turns).toBeGreaterThan(1)
  await patrol.close()
})

test('where more is written than can be read, the dead are found all the same, with all that they wrote', async () => {
  const { stage } = backlog()
  let now = 0
  const clock = { ...stage.clock, now: stage.clock.now, monotonicMs: () => (now += 600) }
  const patrol = await stage.patrol({ clock })
  const first = await patrol.sweepOnce(100)
  expect(first.ingested).toBeGreaterThan(0)
  expect(first.ingested).toBeLessThan(2 * EVENTS)
  stage.seen.set(WORKER, 'dead')
  const { lost } = await patrol.sweepOnce(100)
  expect(lost).toBe(EVENTS) // what it had begun, also what was not read before
  await patrol.close()
})
