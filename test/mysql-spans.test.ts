// What is told of MySQL and MariaDB asked by mysql2: each form of a question, whose trace its callback runs in, and what is measured.
import { formatsInTurn, get, sharedService, startPreloaded } from '@afterspan/testing'
import { drawTrace, startOtlpSink } from 'afterspan/internal'
import { describe, expect } from 'vitest'
import { appFile, listening } from './app.ts'
import { askInEachWay, type Way } from './ways.ts'

const mariadb = sharedService('mariadb')

const one = (n: number | string): object => ({ rows: [{ one: n }] })
const BAD = { error: "Unknown column 'nonsense' in 'SELECT'" }
const DUPLICATE = "Duplicate entry '1' for key 'PRIMARY'"
const UNDEFINED = 'Bind parameters must not contain undefined. To pass SQL NULL specify JS null'
const LOST = 'Connection lost: The server closed the connection.'
const CLOSED = "Can't add new command when connection is in closed state"

/** What the app hears in each way of asking, as it does without us, and what is told of it. */
const WAYS: Readonly<Record<string, Way>> = {
  '/pool': {
    answers: [one(1), one(2), { rows: [{ three: 3 }] }, one(4)],
    trace: `
· GET  SERVER shop
├─ · SELECT test  CLIENT
│    db.query.text=SELECT ? AS one
├─ · SELECT test  CLIENT
│    db.query.text=SELECT ? AS one
├─ · SELECT test  CLIENT
│    db.query.text=select 3 as three;
└─ · SELECT test  CLIENT
     db.query.text=SELECT ? AS one`,
  },
  '/promises': {
    answers: [one('secret'), one(5), {}, {}],
    trace: `
· GET  SERVER shop
├─ · SELECT test  CLIENT
│    db.query.text=SELECT ? AS one
├─ · SELECT test  CLIENT
│    db.query.text=SELECT ? AS one
├─ · START test  CLIENT
│    db.query.text=START TRANSACTION
└─ · ROLLBACK test  CLIENT
     db.query.text=ROLLBACK`,
  },
  '/connection': {
    answers: [one(6), one(7), one(8), { rows: 1 }, { rows: 1 }, one(11)],
    trace: `
· GET  SERVER shop
├─ · SELECT test  CLIENT
│    db.query.text=SELECT ? AS one
├─ · SELECT test  CLIENT
│    db.query.text=SELECT ? AS one
├─ · SELECT test  CLIENT
│    db.query.text=SELECT ? AS one
├─ · SELECT test  CLIENT
│    db.query.text=SELECT\\u000a9 AS nine
├─ · SELECT test  CLIENT
│    db.query.text=SELECT ? AS one
└─ · SELECT test  CLIENT
     db.query.text=SELECT ? AS one`,
  },
  '/errors': {
    answers: [expect.anything(), { error: DUPLICATE }, BAD, BAD, BAD, { error: UNDEFINED }],
    trace: `
· GET  SERVER shop
├─ · INSERT test  CLIENT
│    db.query.text=INSERT INTO sent VALUES (?)
├─ ✗ INSERT test  CLIENT
│    ${DUPLICATE}
│    db.query.text=INSERT INTO sent VALUES (?)
├─ ✗ SELECT test  CLIENT
│    ${BAD.error}
│    db.query.text=SELECT nonsense
├─ ✗ SELECT test  CLIENT
│    ${BAD.error}
│    db.query.text=SELECT nonsense
├─ ✗ SELECT test  CLIENT
│    ${BAD.error}
│    db.query.text=SELECT nonsense
└─ ✗ SELECT test  CLIENT
     ${UNDEFINED}
     db.query.text=SELECT ? AS one`,
  },
  '/lost': {
    answers: [{ error: LOST }, { error: CLOSED }],
    trace: `
· GET  SERVER shop
├─ ✗ SELECT test  CLIENT
│    ${LOST}
│    db.query.text=SELECT SLEEP(60)
├─ · KILL test  CLIENT
│    db.query.text=KILL ?
└─ ✗ SELECT test  CLIENT
     ${CLOSED}
     db.query.text=SELECT ? AS one`,
  },
  '/unhandled': { answers: BAD, trace: '' },
  '/suppressed': { answers: one(13), trace: `\n· GET  SERVER shop` },
}
const SHOWN = ['db.query.text']

describe('a service that asks MySQL or MariaDB', () => {
  formatsInTurn(
    'each question is a span of its request, its callback runs there, and the app hears what it hears without us',
    { cjs: appFile('mysql-spans.cjs'), mjs: appFile('mysql-spans.mjs') },
    async ({ app, node, context }) => {
      const { url: DATABASE_URL, port } = mariadb(context)
      const sink = await startOtlpSink()
      const child = startPreloaded({ app, node: node.path, sink, env: { DATABASE_URL, OTEL_SERVICE_NAME: 'shop' } })
      const url = await listening(child)
      const drawn = (traceId: string): string =>
        `\n${drawTrace(sink.trace(traceId), { stable: true, attributes: SHOWN })}`
      const traces = await askInEachWay(url, WAYS, sink, drawn)

      const ofConnection = { 'db.system.name': 'mysql', 'db.namespace': 'test', 'server.address': '127.0.0.1' }
      for (const { kind, attributes } of sink.spans())
        if (kind === 'client') expect(attributes).toMatchObject({ ...ofConnection, 'server.port': port })
      const [failed] = sink.trace(traces.get('/errors')!).filter(({ status }) => status.code === 'error')
      expect(failed!.events.map(({ attributes }) => attributes)).toEqual([
        { 'exception.message': "MySQL error of type 'Error' occurred (code: ER_DUP_ENTRY)" },
      ])

      const { text } = await get(`${await child.adminUrl()}/metrics`)
      expect(measured(text, port)).toMatchInlineSnapshot(`
        "{db_namespace="test",db_operation_name="INSERT",db_system_name="mysql",error_type="ER_DUP_ENTRY",server_address="127.0.0.1",server_port="…"} 1
        {db_namespace="test",db_operation_name="INSERT",db_system_name="mysql",server_address="127.0.0.1",server_port="…"} 1
        {db_namespace="test",db_operation_name="KILL",db_system_name="mysql",server_address="127.0.0.1",server_port="…"} 1
        {db_namespace="test",db_operation_name="ROLLBACK",db_system_name="mysql",server_address="127.0.0.1",server_port="…"} 1
        {db_namespace="test",db_operation_name="SELECT",db_system_name="mysql",error_type="ER_BAD_FIELD_ERROR",server_address="127.0.0.1",server_port="…"} 4
        {db_namespace="test",db_operation_name="SELECT",db_system_name="mysql",error_type="Error",server_address="127.0.0.1",server_port="…"} 1
        {db_namespace="test",db_operation_name="SELECT",db_system_name="mysql",error_type="PROTOCOL_CONNECTION_LOST",server_address="127.0.0.1",server_port="…"} 1
        {db_namespace="test",db_operation_name="SELECT",db_system_name="mysql",server_address="127.0.0.1",server_port="…"} 12
        {db_namespace="test",db_operation_name="START",db_system_name="mysql",server_address="127.0.0.1",server_port="…"} 1"
      `)
      await child.stop()
      await sink.close()
    },
  )
})

/** How often each operation was measured. */
function measured(text: string, port: number): string {
  const lines = text.split('\n').filter((line) => line.startsWith('db_client_operation_duration_seconds_count'))
  return lines
    .map((line) => line.replace('db_client_operation_duration_seconds_count', '').replace(`"${port}"`, '"…"'))
    .sort()
    .join('\n')
}
