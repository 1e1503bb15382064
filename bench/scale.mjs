// Questions to a ledger of very many tasks: `node bench/scale.mjs [--tasks 10000000] [--dir <folder>]`. Long: some minutes, and 1.8 kB
// of disk for each task. It is no part of `pnpm bench`.
import { statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { parseArgs } from 'node:util'
import { ingestOnce, writeJournal } from './patrol.mjs'
import { median } from './statistics.mjs'
import { tempDir } from './temp-dir.mjs'

const { PatrolService } = createRequire(import.meta.url)('@afterspan/async-tracker/internal')
const { values } = parseArgs({ options: { tasks: { type: 'string' }, dir: { type: 'string' } } })
const TASKS = Number(values.tasks ?? 10_000_000)
const DAY_MS = 86_400_000
const SPAN_MS = 10 * DAY_MS
const dir = values.dir ?? tempDir('scale')
const clock = { now: () => Date.now(), monotonicMs: () => performance.now(), every: () => () => {} }
const settings = { dir, otlp: undefined, serviceName: 'bench', retentionDays: 14, maxBytes: 1e12, ledgerUrl: '' }
const rows = []
const STATE = `CASE WHEN i > ${TASKS} - 500 THEN 'running' WHEN i % 1000 < 3 THEN 'failed' WHEN i % 1000 = 3 THEN 'lost'
  WHEN i % 100000 = 4 THEN 'cancelled' ELSE 'succeeded' END`
const END = `CASE state WHEN 'running' THEN '0' WHEN 'succeeded' THEN '["succeeded",3]'
  ELSE '["failed",3,{"reason":"threw","failure":{"type":"Error","message":"no such order"},"willRetry":false}]' END`
// As packages/async-tracker/src/ledger/task-text.ts has it.
const TASK_ROW = `'[' || at || ',1,0,["' || state || '",' || CASE state WHEN 'running' THEN 'null' ELSE '3' END
  || ',0],"1111111111111111",["bullmq","mail","mail"],[0,"00000000000000a0.0","' || route || '"],[1,"' || i
  || '"],[["2222222222222222",1,"00000000000000b0.0",2,' || ${END} || ']]]'`
const REQUEST_ROW = `'{"isRecovered":false,"key":"' || trace || '1111111111111111","by":"00000000000000a0.0","answered":{"kind":"answered","origin":{"traceId":"' || trace
  || '","spanId":"1111111111111111","sampled":true},"at":' || (at + 1) || ',"startedAt":' || at || ',"service":"web","method":"POST","status":200,"route":"' || route
  || '","promised":1,"outcome":"sent"},"counted":"kept"}'`

const create = (more = {}) =>
  new PatrolService({ ...settings, ...more }, clock, (_, message) => {
    throw new Error(message)
  })
const open = async (more) => {
  const service = create(more)
  await service.tick()
  return service
}

await timed('make the ledger', makeLedger)
const traces = sampleTraces()
let service = await timed('open it, with the first sweep and prune', open)
const ask = async (path, query = {}) => {
  const { status, body } = await service.ask(path, new URLSearchParams(query))
  if (status !== 200) throw new Error(`${path}: ${JSON.stringify(body)}`)
  return body
}

await often('receipt of a trace', 300, async (i) => {
  const { tasks } = await ask(`/receipt/${String(traces[i % traces.length])}`)
  if (tasks.length !== 1) throw new Error(`a receipt of ${tasks.length} tasks`)
})
await often('receipt of an unknown trace', 100, () => ask(`/receipt/${'f'.repeat(32)}`))
const hour = String(Date.now() - 3_600_000)
for (const query of [
  {},
  { state: 'failed,lost' },
  { state: 'failed' },
  { state: 'cancelled' },
  { state: 'running' },
  { state: 'failed,lost', since: hour },
  { since: hour },
  { route: '/orders/:id' },
  { route: '/rare' },
  { route: '/rare', state: 'failed,lost' },
  { route: '/none', since: hour },
  { trace: traces[0], state: 'succeeded' },
])
  await often(`tasks ${new URLSearchParams(query)}`, 5, () => ask('/tasks', query))
await often("health's check of the ledger", 20, () => ask('/standing'))
await often('what /metrics asks', 20, async () => {
  await service.ledger.countsByState(['pending', 'enqueued', 'running', 'retrying'])
  await service.ledger.counters()
})
await often('a sweep without news', 20, () => service.tick())
await ingesting()
const all = { before: 0, maxBytes: 1e12 }
await often('prune, nothing to remove', 5, () => service.ledger.prune(all))
const cut = Date.now() - SPAN_MS + SPAN_MS / 1000
await often('prune by age, one call', 1, () => service.ledger.prune({ ...all, before: cut }))
const size = statSync(join(dir, 'ledger.db')).size
await often('prune by bytes, one call', 1, () => service.ledger.prune({ ...all, maxBytes: size * 0.98 }))
await service.stop()
console.table(rows)

async function ingesting() {
  const rates = []
  for (let round = 0; round < 3; round++) {
    await service.stop()
    writeJournal(dir, Math.floor(Math.random() * 1e9))
    service = create()
    rates.push(await ingestOnce(service))
  }
  rows.push({ what: 'events per second from journals', median: Math.round(median(rates)) })
}

async function timed(what, work) {
  const from = performance.now()
  const result = await work()
  rows.push({ what, 'median ms': Math.round(performance.now() - from) })
  console.error(rows.at(-1))
  return result
}

async function often(what, times, work) {
  const ms = []
  for (let i = 0; i < times; i++) {
    const from = performance.now()
    await work(i)
    ms.push(performance.now() - from)
  }
  const sorted = ms.toSorted((a, b) => a - b)
  rows.push({ what, 'median ms': round(median(ms)), 'worst ms': round(sorted.at(-1)) })
  console.error(rows.at(-1))
}

function round(ms) {
  return Number(ms.toFixed(ms < 10 ? 2 : 0))
}

/** As the patrol would have written it, made by SQLite itself: indexes come last, and rows in order of time. */
async function makeLedger() {
  const service = await open()
  await service.stop()
  const db = new DatabaseSync(join(dir, 'ledger.db'))
  // What goes wrong here is made anew: the WAL would be as large again.
  db.exec(
    'PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA cache_size = -500000; PRAGMA temp_store = FILE',
  )
  const indexes = db.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL").all()
  for (const { name } of indexes) if (/^(task|request)_/.test(name)) db.exec(`DROP INDEX ${String(name)}`)
  const from = Date.now() - SPAN_MS
  db.exec('BEGIN')
  db.exec(`CREATE TEMP TABLE made AS
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${TASKS})
    SELECT i, ${from} + CAST(i * ${SPAN_MS / TASKS} AS INTEGER) AS at, lower(hex(randomblob(16))) AS trace, ${STATE} AS state,
      CASE WHEN i % 100003 = 7 THEN '/rare' ELSE '/orders/:id' END AS route FROM n`)
  db.exec(`INSERT INTO task (task_id, trace_id, request_key, depth, state, owner, route, spawned_at, settled_at, row)
    SELECT trace || '00f067aa0ba902b7', trace, trace || '1111111111111111', 0, state,
      CASE state WHEN 'running' THEN '00000000000000b0.0' END, route, at,
      CASE WHEN state IN ('succeeded', 'failed', 'lost', 'cancelled') THEN at + 3 END, ${TASK_ROW} FROM made`)
  db.exec(`INSERT INTO request (key, at, row) SELECT trace || '1111111111111111', at + 1, ${REQUEST_ROW} FROM made`)
  for (const { name, sql } of indexes) if (/^(task|request)_/.test(name)) db.exec(sql)
  db.exec('COMMIT')
  db.close()
}

function sampleTraces() {
  const db = new DatabaseSync(join(dir, 'ledger.db'), { readOnly: true })
  const at = db.prepare('SELECT trace_id FROM task WHERE n = ?')
  const traces = Array.from({ length: 300 }, (_, i) => at.get(1 + Math.floor((TASKS - 1) * ((i + 0.5) / 300))).trace_id)
  db.close()
  return traces
}
