// What is told of PostgreSQL asked by postgres.js: each form of a statement, as the app wrote it, and what is measured.
import { formatsInTurn, get, sharedService, startPreloaded } from '@afterspan/testing'
import { drawTrace, startOtlpSink } from 'afterspan/internal'
import { describe, expect } from 'vitest'
import { appFile, listening } from './app.ts'
import { askInEachWay, type Way } from './ways.ts'

const postgres = sharedService('postgres')

const one = (n: number | string): object => ({ rows: [{ one: n }] })
const BAD = { error: 'column "nonsense" does not exist' }
const REFUSED = { error: 'connect ECONNREFUSED 127.0.0.1:1' }

/** What the app hears in each way of asking, as it does without us, and what is told of it. */
const WAYS: Readonly<Record<string, Way>> = {
  '/statements': {
    answers: [one('secret'), one(2), one(3), one(4), one(5)],
    trace: `
· GET  SERVER shop
├─ · SELECT postgres  CLIENT
│    db.query.text=SELECT $1::text AS one
├─ · SELECT postgres  CLIENT
│    db.query.text=SELECT $1 FROM (SELECT 2 AS one) AS these WHERE $2
├─ · SELECT postgres  CLIENT
│    db.query.text=select $1::int as one
├─ · SELECT postgres  CLIENT
│    db.query.text=SELECT 4 AS one
└─ · SELECT postgres  CLIENT
     db.query.text=SELECT 5 AS one`,
  },
  '/transaction': {
    answers: [one(6), { error: 'rolled back' }],
    trace: `
· GET  SERVER shop
├─ · BEGIN postgres  CLIENT
│    db.query.text=begin${' '}
├─ · SELECT postgres  CLIENT
│    db.query.text=SELECT 6 AS one
├─ · COMMIT postgres  CLIENT
│    db.query.text=commit
├─ · BEGIN postgres  CLIENT
│    db.query.text=begin${' '}
├─ · SELECT postgres  CLIENT
│    db.query.text=SELECT 7 AS one
└─ · ROLLBACK postgres  CLIENT
     db.query.text=rollback`,
  },
  '/other': {
    answers: [one(11), one(12)],
    trace: `
· GET  SERVER shop
├─ · BEGIN template1  CLIENT
│    db.query.text=begin${' '}
├─ · SAVEPOINT template1  CLIENT
│    db.query.text=savepoint $1
├─ · SELECT template1  CLIENT
│    db.query.text=SELECT 11 AS one
├─ · COMMIT template1  CLIENT
│    db.query.text=commit
├─ · BEGIN postgres  CLIENT
│    db.query.text=begin${' '}
├─ · SELECT postgres  CLIENT
│    db.query.text=SELECT 12 AS one
└─ · COMMIT postgres  CLIENT
     db.query.text=commit`,
  },
  '/cursor': {
    answers: [{ rows: [1, 2, 3, 8] }],
    trace: `
· GET  SERVER shop
├─ · SELECT postgres  CLIENT
│    db.query.text=SELECT * FROM generate_series(1, 3) AS one
└─ · SELECT postgres  CLIENT
     db.query.text=SELECT 8 AS one`,
  },
  '/errors': {
    answers: [BAD, { error: 'division by zero' }, REFUSED],
    trace: `
· GET  SERVER shop
├─ ✗ SELECT postgres  CLIENT
│    ${BAD.error}
│    db.query.text=SELECT nonsense
├─ ✗ SELECT postgres  CLIENT
│    division by zero
│    db.query.text=SELECT 1 / $1::int
└─ ✗ SELECT nowhere  CLIENT
     connect ECONNREFUSED 127.0.0.1:*
     db.query.text=SELECT 9`,
  },
  '/unhandled': { answers: BAD, trace: '' },
  '/suppressed': { answers: one(10), trace: '\n· GET  SERVER shop' },
}

describe('a service that asks PostgreSQL by postgres.js', () => {
  formatsInTurn(
    'each statement is a span of its request, and the app hears what it hears without us',
    { cjs: appFile('postgres-js-spans.cjs'), mjs: appFile('postgres-js-spans.mjs') },
    async ({ app, node, context }) => {
      const { url: DATABASE_URL, port } = postgres(context)
      const sink = await startOtlpSink()
      const child = startPreloaded({ app, node: node.path, sink, env: { DATABASE_URL, OTEL_SERVICE_NAME: 'shop' } })
      const url = await listening(child)
      const drawn = (traceId: string): string =>
        `\n${drawTrace(sink.trace(traceId), { stable: true, attributes: ['db.query.text'] })}`
      await askInEachWay(url, WAYS, sink, drawn)

      for (const { kind, attributes } of sink.spans())
        if (kind === 'client')
          expect(attributes).toMatchObject({
            'db.system.name': 'postgresql',
            'server.address': '127.0.0.1',
            'server.port': attributes['db.namespace'] === 'nowhere' ? 1 : port,
          })
      const { text } = await get(`${await child.adminUrl()}/metrics`)
      expect(text).toMatch(
        /^db_client_operation_duration_seconds_count\{db_namespace="postgres",db_operation_name="SELECT",db_system_name="postgresql",error_type="42703",/m,
      )
      await child.stop()
      await sink.close()
    },
  )
})
