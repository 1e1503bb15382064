// Many hosts with one ledger in PostgreSQL, reckoned: `node bench/fleet.mjs [--measure] [--turn <ms>] [--event <µs>]`. A turn of a patrol costs so much, and so much
// more for each event; one host has its turn at a time. The same numbers come out each time; `--measure` takes the costs from a real
// server of this machine instead of those of docs/decisions/many-hosts.md.
import { createRequire } from 'node:module'
import { parseArgs } from 'node:util'
import * as postgres from '../test/services/postgres.mjs'
import { writeJournal } from './patrol.mjs'
import { median } from './statistics.mjs'
import { tempDir } from './temp-dir.mjs'

const { PatrolService } = createRequire(import.meta.url)('@afterspan/async-tracker/internal')
const { values } = parseArgs({
  options: { measure: { type: 'boolean' }, turn: { type: 'string' }, event: { type: 'string' } },
})

const EVENTS_PER_TASK = 4
/** As patrol/service.ts, patrol/tail.ts (a mebibyte of records) and ledger/pg-client.ts have it. */
const SWEEP_MS = 250
const MOST_EVENTS_IN_TURN = 5_200
const GIVE_UP_MS = 10_000
const SECONDS = 120

const costs = values.measure
  ? await measure()
  : { turnMs: Number(values.turn ?? 6), eventUs: Number(values.event ?? 20) }
console.log(
  `a turn: ${costs.turnMs.toFixed(1)} ms, and ${costs.eventUs.toFixed(1)} µs an event: at most ${Math.round(1e6 / costs.eventUs / EVENTS_PER_TASK).toLocaleString('en')} tasks a second`,
)
const rows = []
for (const hosts of [2, 10, 50, 100, 300, 1000])
  for (const tasksPerSecond of [100, 1_000, 5_000, 10_000, 15_000])
    rows.push({ hosts, 'tasks/s, all': tasksPerSecond, ...simulate(hosts, tasksPerSecond / hosts, costs) })
console.table(rows)

/** Hosts sweep each at its own time, wait for the turn in the order in which they asked, and bring what was there when they asked. */
function simulate(hosts, tasksPerSecond, { turnMs, eventUs }) {
  const perMs = (tasksPerSecond * EVENTS_PER_TASK) / 1000
  const all = Array.from({ length: hosts }, (_, i) => ({ asksAt: (i * SWEEP_MS) / hosts, readTo: 0 }))
  const lags = []
  let freeAt = 0
  let busy = 0
  let longest = 0
  let gaveUp = 0
  for (;;) {
    const host = all.reduce((first, other) => (other.asksAt < first.asksAt ? other : first))
    const asked = host.asksAt
    if (asked > SECONDS * 1000) break
    const there = Math.floor((asked - host.readTo) * perMs)
    if (there === 0) {
      host.asksAt = asked + SWEEP_MS
      continue
    }
    const from = Math.max(asked, freeAt)
    if (from - asked > GIVE_UP_MS) {
      gaveUp++
      host.asksAt = asked + GIVE_UP_MS + SWEEP_MS
      continue
    }
    const events = Math.min(there, MOST_EVENTS_IN_TURN)
    const took = turnMs + (events * eventUs) / 1000
    freeAt = from + took
    busy += took
    longest = Math.max(longest, from - asked)
    lags.push({ asked, ms: freeAt - host.readTo })
    host.readTo += events / perMs
    host.asksAt = events < there ? freeAt : freeAt + SWEEP_MS
  }
  // The first half is the way to a steady state; where there is none, the end is worse than the middle.
  const from = (share) => lags.filter(({ asked }) => asked > SECONDS * 1000 * share).map(({ ms }) => ms)
  const middle = median(from(0.5).slice(0, hosts))
  const end = median(from(0.5).slice(-hosts))
  const isSteady = gaveUp === 0 && end < middle * 1.2
  return {
    'database busy': `${Math.min(100, Math.round((100 * busy) / (SECONDS * 1000)))} %`,
    'in the ledger after, s': isSteady ? (median(from(0.5)) / 1000).toFixed(2) : 'falls behind',
    'longest wait for a turn, s': (longest / 1000).toFixed(2),
    'gave up': gaveUp,
  }
}

/** By turns of few events and of many. */
async function measure() {
  const server = await postgres.start()
  const dir = tempDir('fleet')
  const clock = { now: () => Date.now(), monotonicMs: () => performance.now(), every: () => () => {} }
  const settings = {
    dir,
    otlp: undefined,
    serviceName: 'bench',
    retentionDays: 14,
    maxBytes: 1e12,
    ledgerUrl: server.url,
  }
  const service = new PatrolService(settings, clock, (_, message) => {
    throw new Error(message)
  })
  try {
    await service.tick()
    const tickOf = async (round, tasks) => {
      writeJournal(dir, round, tasks)
      const from = performance.now()
      const { ingested } = await service.tick(Infinity)
      return { ms: performance.now() - from, events: ingested }
    }
    const few = []
    const many = []
    for (let round = 1; round <= 30; round++) {
      few.push(await tickOf(2 * round, 1))
      many.push(await tickOf(2 * round + 1, 1_000))
    }
    const turnMs = median(few.map(({ ms }) => ms))
    const eventUs = median(many.map(({ ms, events }) => ((ms - turnMs) * 1000) / events))
    return { turnMs, eventUs }
  } finally {
    await service.stop()
    await server.stop()
  }
}
