// A patrol may die at any moment: between any two of its steps, and in any of them, done or not. Whoever comes next must end with
// the same: each outcome told under one id with the same bytes, everything counted once, the same files left.
import { describe, expect, test } from 'vitest'
import type { OtlpReply } from '@afterspan/core/internal'
import { createFlightFile } from '../../src/journal/flight.ts'
import type { LedgerStore } from '../../src/ledger/store.ts'
import { createSqliteLedger } from '../../src/ledger/sqlite.ts'
import { tempDir } from '../../../testing/src/temp-dir.ts'
import { MemoryLedger } from '../ledger/memory-ledger.ts'
import {
  answered,
  confirmed,
  failed,
  ms,
  OTHER_WORKER,
  received,
  requestRef,
  settledFailed,
  spawned,
  started,
  succeeded,
  taskIdOf,
  WEB,
  WORKER,
} from '../sample-events.ts'
import { spansIn } from './desk.ts'
import { Stage } from './stage.ts'

const THROWN = new Error('thrown away')

/** Throws at its n-th step, before or after what that step does. */
class Fragile {
  steps = 0
  readonly #at: number
  readonly #isDone: boolean
  constructor(at: number, isDone: boolean) {
    this.#at = at
    this.#isDone = isDone
  }
  async step<T>(run: () => Promise<T>): Promise<T> {
    const isIt = ++this.steps === this.#at
    if (isIt && !this.#isDone) throw THROWN
    const result = await run()
    if (isIt) throw THROWN
    return result
  }
  around(ledger: LedgerStore): LedgerStore {
    return new Proxy(ledger, {
      get: (target, name: keyof LedgerStore) => {
        const member = target[name] as unknown
        if (typeof member !== 'function') return member
        if (name === 'exclusive')
          return (work: (inner: LedgerStore) => Promise<unknown>) =>
            target.exclusive((inner) => work(this.around(inner)))
        return (...values: unknown[]) => this.step(async () => member.apply(target, values) as unknown)
      },
    })
  }
}

/** A sender and a worker that are dead, one that lives, with all kinds of news. */
function setStage(ledger: LedgerStore): Stage {
  const stage = new Stage(ledger)
  const [lost, never, done, bad, child] = [0, 1, 2, 3, 4].map((n) => ({ taskId: taskIdOf(n) }))
  const sampled = { origin: requestRef(2, false) }
  const other = { taskId: taskIdOf(0, 2) }
  stage.write(WEB, spawned(1, lost), confirmed(2, lost), spawned(3, done), confirmed(4, done), answered(5, 3))
  stage.write(WEB, spawned(5, { ...other, ...sampled }), answered(6, 1, { ...sampled, route: '/unsampled' }))
  stage.rotate(WEB)
  stage.write(WEB, spawned(6, bad), confirmed(7, bad), spawned(8, never), settledFailed(9, bad))
  const log = createFlightFile(stage.dir, WEB, () => expect.unreachable())
  log.open(received(8, 7))
  stage.write(WORKER, started(10, 1, lost), spawned(11, { ...child, parent: taskIdOf(0) }), started(12, 2, child))
  stage.rotate(WORKER)
  stage.write(OTHER_WORKER, started(10, 3, done), succeeded(11, 3, done), started(12, 4, bad))
  stage.write(OTHER_WORKER, failed(13, 4, { ...bad, willRetry: true }), started(14, 5, bad), failed(15, 5, bad))
  stage.write(OTHER_WORKER, started(16, 6, other), failed(17, 6, other))
  stage.write(WORKER, { kind: 'exiting', at: ms(20), code: 1 })
  stage.seen.set(WEB, 'dead').set(WORKER, 'dead')
  return stage
}

/** The collector takes what comes, whether or not the patrol lives to hear of it. */
async function outcome(stage: Stage): Promise<unknown> {
  const bodies = new Map<string, Set<string>>()
  for (const span of stage.spans()) {
    const texts = bodies.get(span.spanId) ?? new Set()
    bodies.set(span.spanId, texts.add(JSON.stringify(span)))
  }
  const rows = await stage.ledger.find({ limit: 100 })
  return {
    tasks: rows
      .map((row) => JSON.stringify({ ...row, facts: { ...row.facts, reported: row.facts.reported.toSorted() } }))
      .sort(),
    requests: await Promise.all([1, 2, 7].map((n) => stage.ledger.requestsOfTrace(requestRef(n).traceId))),
    processes: (await stage.ledger.processes()).toSorted((a, b) => (a.key < b.key ? -1 : 1)),
    segments: await stage.ledger.segments(),
    counters: (await stage.ledger.counters())
      .map(({ name, labels, value }) => `${name} ${JSON.stringify(labels, Object.keys(labels).sort())} ${value}`)
      .sort(),
    outbox: await stage.ledger.dueOutbox(ms(1e15), 100),
    files: stage.files(),
    told: [...bodies].map(([id, texts]) => [id, ...texts].join(' ')).sort(),
  }
}

async function untilQuiet(sweep: () => Promise<{ ingested: number; lost: number; reported: number }>): Promise<void> {
  for (;;) {
    const { ingested, lost, reported } = await sweep()
    if (ingested + lost + reported === 0) return
  }
}

interface Ledgers {
  /** The ledger that a patrol opens, and the one that the next patrol finds. */
  create(): { readonly first: LedgerStore; readonly next: () => Promise<LedgerStore> }
}
const MEMORY: Ledgers = {
  create: () => {
    const ledger = new MemoryLedger()
    return { first: ledger, next: async () => ledger }
  },
}
const SQLITE: Ledgers = {
  create: () => {
    const dir = tempDir('thrown')
    const first = createSqliteLedger(dir)
    return {
      first,
      next: async () => {
        await first.close()
        return createSqliteLedger(dir)
      },
    }
  },
}

async function undisturbed(): Promise<{ readonly expected: unknown; readonly told: number }> {
  const stage = setStage(new MemoryLedger())
  const patrol = await stage.patrol()
  await untilQuiet(() => patrol.sweepOnce())
  return { expected: await outcome(stage), told: stage.spanIds().length }
}

describe.each([
  ['in memory', MEMORY],
  ['in SQLite', SQLITE],
])('with a ledger %s', (_, ledgers) => {
  test.for([
    ['before a step', false],
    ['after a step', true],
  ] as const)('thrown away %s: the next patrol ends with the same', async ([, isDone]) => {
    const { expected, told } = await undisturbed()
    expect(told).toBe(9)
    let hasPassed = false
    let n = 0
    while (!hasPassed) {
      const fragile = new Fragile(++n, isDone)
      const { first, next } = ledgers.create()
      const stage = setStage(first)
      const post = (__: unknown, body: Uint8Array): Promise<OtlpReply> => fragile.step(() => stage.post(body))
      try {
        const patrol = await stage.patrol({ ledger: fragile.around(first), post })
        await untilQuiet(() => patrol.sweepOnce())
        hasPassed = true
      } catch (error) {
        if (error !== THROWN) throw error
      }
      const ledger = await next()
      const heir = await stage.patrol({ ledger })
      await untilQuiet(() => heir.sweepOnce())
      expect([n, await outcome(withLedger(stage, ledger))]).toEqual([n, expected])
      await ledger.close()
    }
    expect(n).toBeGreaterThan(20)
  })

  test('a step that fails now and then: the same patrol, going on, ends with the same', async () => {
    const { expected } = await undisturbed()
    for (let n = 1; n <= 40; n++)
      for (const isDone of [false, true]) {
        const { first } = ledgers.create()
        const stage = setStage(first)
        await first.open()
        const fragile = new Fragile(n, isDone)
        const post = (__: unknown, body: Uint8Array): Promise<OtlpReply> => fragile.step(() => stage.post(body))
        const patrol = await stage.patrol({ post })
        const shaky = await stage.patrol({ ledger: fragile.around(first), post }).catch(() => patrol)
        await untilQuiet(() => shaky.sweepOnce().catch(() => ({ ingested: 1, lost: 0, reported: 0 })))
        expect([n, isDone, await outcome(stage)]).toEqual([n, isDone, expected])
        await first.close()
      }
  })
})

test('every span that was told has an error, a type and a state, but for the request that is told again', async () => {
  const stage = setStage(new MemoryLedger())
  const patrol = await stage.patrol()
  await untilQuiet(() => patrol.sweepOnce())
  const spans = stage.posted.flatMap((body) => spansIn(body)).filter(({ kind }) => kind !== 'server')
  expect(spans).toHaveLength(7)
  for (const { status, attributes } of spans) {
    expect(status.code).toBe('error')
    expect(attributes).toMatchObject({ 'error.type': expect.any(String), 'afterspan.task.state': expect.any(String) })
  }
})

function withLedger(stage: Stage, ledger: LedgerStore): Stage {
  return Object.defineProperty(stage, 'ledger', { value: ledger })
}
