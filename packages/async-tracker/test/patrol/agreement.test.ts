// Families of tasks over several processes whose journals are read in any order, in any pieces, by one patrol after another: every
// ledger ends with the same, each task with its request, and each request with the one outcome that it had.
import { cpSync, rmSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { JournalEvent, TaskId } from '@afterspan/core/internal'
import { requestKeyOf } from '../../src/patrol/digest.ts'
import type { LedgerStore } from '../../src/ledger/store.ts'
import { createSqliteLedger } from '../../src/ledger/sqlite.ts'
import { tempDir } from '../../../testing/src/temp-dir.ts'
import { MemoryLedger } from '../ledger/memory-ledger.ts'
import {
  answered,
  failed,
  OTHER_WORKER,
  released,
  requestRef,
  spawned,
  started,
  succeeded,
  taskIdOf,
  WEB,
  WORKER,
} from '../sample-events.ts'
import { requestCounts } from './desk.ts'
import { Stage } from './stage.ts'

const WRITERS = [WEB, WORKER, OTHER_WORKER] as const
type Writer = (typeof WRITERS)[number]

interface Member {
  readonly taskId: TaskId
  readonly request: number
  readonly depth: number
  readonly worker: Writer
  readonly end: 'succeeded' | 'failed' | 'released' | 'none'
  readonly children: Member[]
}
interface World {
  readonly members: readonly Member[]
  readonly schedule: readonly Step[]
}
/** So many events of a writer reach the disk; or the patrol sweeps; or another patrol comes. */
type Step = { readonly writer: Writer; readonly count: number } | 'sweep' | 'restart'

const member = fc.record({
  /** Below an earlier one; else promised by a request. */
  parent: fc.option(fc.nat(20), { freq: 2 }),
  request: fc.integer({ min: 1, max: 2 }),
  worker: fc.constantFrom<Writer>(WORKER, OTHER_WORKER),
  end: fc.constantFrom<Member['end']>('succeeded', 'succeeded', 'succeeded', 'failed', 'released', 'none'),
})
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ writer: fc.constantFrom(...WRITERS), count: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 3, arbitrary: fc.constant('sweep' as const) },
  { weight: 1, arbitrary: fc.constant('restart' as const) },
)
const world: fc.Arbitrary<World> = fc
  .record({ plan: fc.array(member, { minLength: 1, maxLength: 8 }), schedule: fc.array(step, { maxLength: 40 }) })
  .map(({ plan, schedule }) => {
    const members: Member[] = []
    for (const [n, { parent, request, worker, end }] of plan.entries()) {
      const above = parent === null || n === 0 ? undefined : members[parent % n]
      const place = above ? { request: above.request, depth: above.depth + 1 } : { request, depth: 0 }
      const made = { taskId: taskIdOf(n, place.request), worker, end, children: [], ...place }
      above?.children.push(made)
      members.push(made)
    }
    return { members, schedule }
  })

/** What each writer says, in its own order. */
function journalsOf(members: readonly Member[]): Map<Writer, JournalEvent[]> {
  const journals = new Map<Writer, JournalEvent[]>(WRITERS.map((writer) => [writer, []]))
  const roots = Map.groupBy(
    members.filter(({ depth }) => depth === 0),
    ({ request }) => request,
  )
  for (const [n, promised] of roots) {
    const origin = requestRef(n)
    journals.get(WEB)!.push(...promised.map(({ taskId }) => spawned(1, { taskId, origin })))
    journals.get(WEB)!.push(answered(2, promised.length, { origin }))
  }
  for (const [n, { taskId, worker, end, children }] of members.entries()) {
    const journal = journals.get(worker)!
    journal.push(started(10 + n, n, { taskId }))
    for (const child of children) journal.push(spawned(11 + n, { taskId: child.taskId, parent: taskId }))
    if (end === 'succeeded') journal.push(succeeded(12 + n, n, { taskId }))
    if (end === 'failed') journal.push(failed(12 + n, n, { taskId }))
    if (end === 'released') journal.push(released(12 + n, n, { taskId }))
  }
  return journals
}

async function play({ members, schedule }: World, ledger: LedgerStore): Promise<unknown> {
  const stage = new Stage(ledger)
  const journals = journalsOf(members)
  let patrol = await stage.patrol()
  for (const next of schedule) {
    if (next === 'sweep') await patrol.sweepOnce()
    else if (next === 'restart') patrol = await stage.patrol()
    else stage.write(next.writer, ...journals.get(next.writer)!.splice(0, next.count))
  }
  for (const [writer, rest] of journals) stage.write(writer, ...rest)
  await patrol.sweepOnce()
  rmSync(stage.dir, { recursive: true }) // hundreds of worlds are played
  const rows = (await ledger.find({ limit: 100 })).map((row) => ({
    id: row.facts.taskId,
    ...row.derived,
    at: [row.requestKey, row.depth],
  }))
  return {
    rows: rows.sort((a, b) => (a.id < b.id ? -1 : 1)),
    counts: await requestCounts(ledger),
    told: stage.spanIds().sort(),
  }
}

/** What must come of it, whatever the schedule was. */
function expected(members: readonly Member[]): unknown {
  const counts: Record<string, number> = {}
  for (const [, family] of Map.groupBy(members, ({ request }) => request)) {
    const isBroken = family.some(({ end }) => end === 'failed')
    const isOpen = family.some(({ end }) => end === 'none' || end === 'released')
    if (isOpen && !isBroken) continue
    const word = isBroken ? 'false_success' : 'kept'
    counts[word] = (counts[word] ?? 0) + 1
    Object.assign(counts, { false_success: counts['false_success'] ?? 0, recovered: 0 })
  }
  const state = { none: 'running', released: 'enqueued', succeeded: 'succeeded', failed: 'failed' }
  const rows = members.map(({ taskId, request, depth, end }) => ({
    id: taskId,
    state: state[end],
    at: [requestKeyOf(requestRef(request)), depth],
  }))
  return { rows: rows.sort((a, b) => (a.id < b.id ? -1 : 1)), counts }
}

/** A ledger that was opened once: to make its tables for each world is half of what a world takes, and waits for the disk. */
async function emptyLedger(): Promise<string> {
  const dir = tempDir('empty')
  const ledger = createSqliteLedger(dir)
  await ledger.open()
  await ledger.close()
  return dir
}

test('two ledgers, one outcome, the right one', async () => {
  const empty = await emptyLedger()
  const property = fc.asyncProperty(world, async (made) => {
    const dir = tempDir('agreement')
    cpSync(empty, dir, { recursive: true })
    const sqlite = createSqliteLedger(dir)
    const inSqlite = await play(made, sqlite)
    await sqlite.close()
    rmSync(dir, { recursive: true })
    const inMemory = await play(made, new MemoryLedger())
    expect(inSqlite).toEqual(inMemory)
    expect(inMemory).toMatchObject(expected(made.members) as object)
  })
  await expect(fc.assert(property, { numRuns: 150 })).resolves.toBeUndefined()
}, 120_000) // as many worlds as it takes, however busy the disk is
