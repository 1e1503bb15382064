import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import * as postgres from '../test/services/postgres.mjs'
import { interleaved, median, spread } from './statistics.mjs'
import { tempDir } from './temp-dir.mjs'

const { JournalWriter, PatrolService } = createRequire(import.meta.url)('@afterspan/async-tracker/internal')
const TASKS = 10_000
const EVENTS_PER_TASK = 4
const EVENTS = TASKS * EVENTS_PER_TASK
const ROWS_IN_TRANSACTION = 5_000

/** How fast the patrol brings journals into the ledger, in SQLite and in PostgreSQL, against a bare insert of as many rows into SQLite. */
export async function benchPatrol(rounds) {
  const server = postgres.missing() ? undefined : await postgres.start()
  const names = ['bare insert', 'SQLite', ...(server ? ['PostgreSQL'] : [])]
  try {
    const results = await interleaved(names, rounds, async (name, round) => {
      const dir = tempDir('patrol')
      try {
        if (name === 'bare insert') return bareInsert(dir)
        writeJournal(dir, round)
        return await ingest(dir, name === 'PostgreSQL' ? server.url : '')
      } finally {
        rmSync(dir, { recursive: true, force: true })
      }
    })
    const ratio = median(results.SQLite.map((rate, i) => rate / results['bare insert'][i]))
    return {
      rows: names.map((name) => ({ ledger: name, 'events/s': spread(results[name], 0) })),
      figures: {
        patrolSqliteEventsPerS: median(results.SQLite),
        patrolSqliteOfBareInsert: ratio,
        ...(server ? { patrolPostgresEventsPerS: median(results.PostgreSQL) } : {}),
      },
    }
  } finally {
    await server?.stop()
  }
}

/** Requests that promise one task each, as a web service and its worker write them. */
export function writeJournal(dir, round, tasks = TASKS) {
  const onTrouble = (error) => {
    throw error
  }
  const writer = (key, service) =>
    new JournalWriter({
      dir,
      key,
      opened: () => ({
        kind: 'opened',
        at: 1,
        worker: workerRef(key, service),
        resource: { 'service.name': service },
        sdkVersion: '0',
      }),
      onTrouble,
    })
  const web = writer(`a${round.toString(16).padStart(15, '0')}.0`, 'web')
  const worker = writer(`b${round.toString(16).padStart(15, '0')}.0`, 'worker')
  for (let i = 0; i < tasks; i++) {
    const traceId = randomBytes(16).toString('hex')
    const taskId = `${traceId}00f067aa0ba902b7`
    const origin = { traceId, spanId: '1111111111111111', sampled: true }
    const at = Date.now()
    web.append({
      kind: 'spawned',
      taskId,
      at,
      system: 'bullmq',
      destination: 'mail',
      name: 'mail',
      origin,
      route: '/orders',
    })
    web.append({ kind: 'confirmed', taskId, at: at + 1, messageId: String(i) })
    worker.append({
      kind: 'started',
      taskId,
      at: at + 2,
      attempt: 1,
      spanId: '2222222222222222',
      system: 'bullmq',
      destination: 'mail',
      name: 'mail',
    })
    worker.append({ kind: 'succeeded', taskId, at: at + 3, attempt: 1, spanId: '2222222222222222' })
  }
  web.close()
  worker.close()
}

function workerRef(key, service) {
  const [nonce, threadId] = key.split('.')
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  return {
    hostId: 'bench',
    bootId: boot,
    pidNamespace: '',
    timeNamespace: '',
    pid: process.pid,
    startTicks: 0,
    threadId: Number(threadId),
    nonce,
    service,
  }
}

async function ingest(dir, ledgerUrl) {
  const clock = { now: () => Date.now(), monotonicMs: () => performance.now(), every: () => () => {} }
  const settings = { dir, otlp: undefined, serviceName: 'bench', retentionDays: 14, maxBytes: 1e12, ledgerUrl }
  const service = new PatrolService(settings, clock, (_, message) => {
    throw new Error(message)
  })
  try {
    return await ingestOnce(service)
  } finally {
    await service.stop()
  }
}

/** Events per second of the first sweep, which reads what `writeJournal` has written. */
export async function ingestOnce(service) {
  const from = performance.now()
  const { ingested } = await service.tick(Infinity)
  const seconds = (performance.now() - from) / 1000
  if (ingested < EVENTS) throw new Error(`only ${ingested} of ${EVENTS} events were read`)
  return ingested / seconds
}

/** The same events as rows of one table: what SQLite itself can do with them. */
function bareInsert(dir) {
  const db = new DatabaseSync(join(dir, 'bare.db'))
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; CREATE TABLE event (id TEXT, row TEXT)')
  const insert = db.prepare('INSERT INTO event VALUES (?, ?)')
  const row = 'x'.repeat(220)
  const from = performance.now()
  for (let i = 0; i < EVENTS; i += ROWS_IN_TRANSACTION) {
    db.exec('BEGIN')
    for (let j = i; j < i + ROWS_IN_TRANSACTION; j++) insert.run(String(j), row)
    db.exec('COMMIT')
  }
  const seconds = (performance.now() - from) / 1000
  db.close()
  if (readdirSync(dir).length === 0) throw new Error('nothing was written')
  return EVENTS / seconds
}
