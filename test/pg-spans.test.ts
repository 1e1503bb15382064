// What is told of PostgreSQL asked by pg: each form of a question, whose trace its callback runs in, and what is measured.
import { bothFormats, get, sharedService, startPreloaded } from '@afterspan/testing'
import { drawTrace, startOtlpSink } from 'afterspan/internal'
import { describe, expect } from 'vitest'
import { appFile, listening } from './app.ts'
import { askInEachWay, type Way } from './ways.ts'

const postgres = sharedService('postgres')

const one = (n: number): object => ({ rows: [{ one: n }] })
const BAD = { error: 'column "nonsense" does not exist' }
const REFUSED = { error: 'connect ECONNREFUSED 127.0.0.1:1' }

/** What the app hears in each way of asking, as it does without us, and what is told of it. */
const WAYS: Readonly<Record<string, Way>> = {
  '/connect': {
    answers: [{ rows: [{ n: 14 }] }, {}, REFUSED, REFUSED, REFUSED],
    trace: `
· GET  SERVER shop
├─ · pg.connect  CLIENT
├─ · pg.query:SELECT postgres  CLIENT
│    db.query.text=SELECT 14 AS n
├─ · pg.connect  CLIENT
├─ ✗ pg.connect  CLIENT
│    connect ECONNREFUSED 127.0.0.1:*
├─ ✗ pg.connect  CLIENT
│    connect ECONNREFUSED 127.0.0.1:*
└─ ✗ pg-pool.connect  CLIENT
   │ connect ECONNREFUSED 127.0.0.1:*
   │ db.postgresql.idle.timeout.millis=10000
   └─ ✗ pg.connect  CLIENT
        connect ECONNREFUSED 127.0.0.1:*`,
  },
  '/pool': {
    answers: [one(1), { rows: [{ two: 2 }] }],
    trace: `
· GET  SERVER shop
├─ · pg-pool.connect  CLIENT
│    db.postgresql.idle.timeout.millis=60000
├─ · pg.query:SELECT postgres  CLIENT
│    db.query.text=SELECT $1::int AS one
├─ · pg-pool.connect  CLIENT
│    db.postgresql.idle.timeout.millis=60000
└─ · pg.query:SELECT postgres  CLIENT
     db.query.text=select 2 as two;`,
  },
  '/pool-config': {
    answers: one(3),
    trace: `
· GET  SERVER shop
├─ · pg-pool.connect  CLIENT
│    db.postgresql.idle.timeout.millis=60000
└─ · pg.query:SELECT postgres  CLIENT
     db.query.text=SELECT $1::int AS one`,
  },
  '/pool-callback': {
    answers: [{}, one(4)],
    trace: `
· GET  SERVER shop
├─ · pg-pool.connect  CLIENT
│    db.postgresql.idle.timeout.millis=60000
└─ · pg.query:SELECT postgres  CLIENT
     db.query.text=SELECT $1::int AS one`,
  },
  '/client': {
    answers: [
      one(5),
      { rows: [{ '?column?': 6 }] },
      one(8),
      one(9),
      { rows: [{ ten: 10 }] },
      one(11),
      one(12),
      { isKept: true },
    ],
    trace: `
· GET  SERVER shop
├─ · pg-pool.connect  CLIENT
│    db.postgresql.idle.timeout.millis=60000
├─ · pg.query:one postgres  CLIENT
│    db.query.text=SELECT $1::int AS one db.postgresql.plan=one
├─ · pg.query:WITH postgres  CLIENT
│    db.query.text=  with x as (select 6) table x
├─ · pg.query:SELECT postgres  CLIENT
│    db.query.text=SELECT $1::int AS one
├─ · pg.query:SELECT postgres  CLIENT
│    db.query.text=SELECT $1::int AS one
├─ · pg.query:SELECT postgres  CLIENT
│    db.query.text=SELECT\\u000a10 AS ten
├─ · pg.query:SELECT postgres  CLIENT
│    db.query.text=SELECT $1::int AS one
├─ · pg.query:SELECT postgres  CLIENT
│    db.query.text=SELECT $1::int AS one
├─ · pg.query:SELECT postgres  CLIENT
│    db.query.text=SELECT $1::int AS one
└─ · pg.query: postgres  CLIENT`,
  },
  '/events': {
    answers: [{ rows: 1 }, BAD],
    trace: `
· GET  SERVER shop
├─ · pg-pool.connect  CLIENT
│    db.postgresql.idle.timeout.millis=60000
├─ · pg.query:SELECT postgres  CLIENT
│    db.query.text=SELECT $1::int AS one
└─ ✗ pg.query:SELECT postgres  CLIENT
     column "nonsense" does not exist
     db.query.text=SELECT nonsense`,
  },
  '/errors': {
    answers: [
      BAD,
      { error: 'division by zero' },
      { error: 'division by zero' },
      { error: 'Client was passed a null or undefined query' },
    ],
    trace: `
· GET  SERVER shop
├─ · pg-pool.connect  CLIENT
│    db.postgresql.idle.timeout.millis=60000
├─ ✗ pg.query:SELECT postgres  CLIENT
│    column "nonsense" does not exist
│    db.query.text=SELECT nonsense
├─ ✗ pg.query:SELECT postgres  CLIENT
│    division by zero
│    db.query.text=SELECT 1/$1::int
├─ ✗ pg.query:SELECT postgres  CLIENT
│    division by zero
│    db.query.text=SELECT 1/$1::int
└─ ✗ pg.query  CLIENT
     Client was passed a null or undefined query`,
  },
  '/unhandled': { answers: { error: 'division by zero' }, trace: '' },
  '/suppressed': { answers: { rows: [{ column1: 16 }] }, trace: '\n· GET  SERVER shop' },
}
const SHOWN = ['db.query.text', 'db.postgresql.plan', 'db.postgresql.idle.timeout.millis']

/** The series without bounds and sums. Of the pool that is in use nobody knows how many connections are idle at this moment. */
function measured(text: string, port: number): string {
  return text
    .split('\n')
    .filter((line) => /^db_client_(?!operation_duration_seconds_(?:bucket|sum))/.test(line))
    .map((line) =>
      line
        .replace(`server_port="${port}"`, 'server_port="…"')
        .replace(/(_count|_requests)(.*unknown.*) \d+$/, '$1$2 …'),
    )
    .sort()
    .join('\n')
}

describe('a service that asks PostgreSQL', () => {
  bothFormats(
    'each question is a span of its request, its callback runs there, and the app hears what it hears without us',
    { cjs: appFile('pg-spans.cjs'), mjs: appFile('pg-spans.mjs') },
    async ({ app, node, context }) => {
      const { url: DATABASE_URL, port } = postgres(context)
      const sink = await startOtlpSink()
      const child = startPreloaded({ app, node: node.path, sink, env: { DATABASE_URL, OTEL_SERVICE_NAME: 'shop' } })
      const url = await listening(child)
      const drawn = (traceId: string): string =>
        `\n${drawTrace(sink.trace(traceId), { stable: true, attributes: SHOWN })}`
      const traces = await askInEachWay(url, WAYS, sink, drawn)

      const ofConnection = { 'db.system.name': 'postgresql', 'server.address': '127.0.0.1' }
      for (const { kind, attributes } of sink.spans())
        if (kind === 'client')
          expect(attributes).toMatchObject({
            ...ofConnection,
            ...(attributes['db.namespace'] === 'nowhere'
              ? { 'server.port': 1 }
              : { 'db.namespace': 'postgres', 'server.port': port }),
          })
      const [failed] = sink.trace(traces.get('/errors')!).filter(({ status }) => status.code === 'error')
      expect(failed!.events.map(({ attributes }) => attributes)).toEqual([
        { 'exception.message': "PostgreSQL error of type 'error' occurred (code: 42703)" },
      ])

      const { text } = await get(`${await child.adminUrl()}/metrics`)
      expect(measured(text, port)).toMatchInlineSnapshot(`
        "db_client_connection_count{db_client_connection_pool_name="127.0.0.1:1/nowhere",db_client_connection_state="idle"} 0
        db_client_connection_count{db_client_connection_pool_name="127.0.0.1:1/nowhere",db_client_connection_state="used"} 0
        db_client_connection_count{db_client_connection_pool_name="unknown_host:unknown_port/unknown_database",db_client_connection_state="idle"} …
        db_client_connection_count{db_client_connection_pool_name="unknown_host:unknown_port/unknown_database",db_client_connection_state="used"} …
        db_client_connection_max{db_client_connection_pool_name="127.0.0.1:1/nowhere"} 10
        db_client_connection_max{db_client_connection_pool_name="unknown_host:unknown_port/unknown_database"} 2
        db_client_connection_pending_requests{db_client_connection_pool_name="127.0.0.1:1/nowhere"} 0
        db_client_connection_pending_requests{db_client_connection_pool_name="unknown_host:unknown_port/unknown_database"} …
        db_client_operation_duration_seconds_count{db_namespace="postgres",db_operation_name="SELECT",db_system_name="postgresql",error_type="22012",server_address="127.0.0.1",server_port="…"} 3
        db_client_operation_duration_seconds_count{db_namespace="postgres",db_operation_name="SELECT",db_system_name="postgresql",error_type="42703",server_address="127.0.0.1",server_port="…"} 2
        db_client_operation_duration_seconds_count{db_namespace="postgres",db_operation_name="SELECT",db_system_name="postgresql",server_address="127.0.0.1",server_port="…"} 13
        db_client_operation_duration_seconds_count{db_namespace="postgres",db_operation_name="WITH",db_system_name="postgresql",server_address="127.0.0.1",server_port="…"} 1
        db_client_operation_duration_seconds_count{db_namespace="postgres",db_system_name="postgresql",server_address="127.0.0.1",server_port="…"} 1"
      `)
      await child.stop()
      await sink.close()
    },
  )
})
