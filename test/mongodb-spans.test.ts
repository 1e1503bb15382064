// What is told of MongoDB asked by its driver: each kind of command, and what of it is shown. Against a stand-in that speaks its protocol.
import { createRequire } from 'node:module'
import { formatsInTurn, get, startMongoDbStandIn, startPreloaded, type Bson } from '@afterspan/testing'
import { drawTrace, startOtlpSink } from 'afterspan/internal'
import { describe, expect } from 'vitest'
import { appFile, listening } from './app.ts'
import { askInEachWay, type Way } from './ways.ts'

const { BSON } = createRequire(import.meta.url)('mongodb') as { BSON: Bson }
const DUPLICATE = 'E11000 duplicate key'
const WELL = { rows: 'well' }

/** What the app hears in each way of asking, as it does without us, and what is told of it. */
const WAYS: Readonly<Record<string, Way>> = {
  '/connects': {
    answers: [WELL],
    trace: `
· GET  SERVER shop
└─ · find orders  CLIENT
     db.query.text={"_id":"?"}`,
  },
  '/commands': {
    answers: [WELL, WELL, WELL, WELL, WELL, WELL],
    trace: `
· GET  SERVER shop
├─ · find orders  CLIENT
│    db.query.text={"paid":"?","customer.mail":"?"}
├─ · aggregate orders  CLIENT
│    db.query.text=[{"$match":"?"},{"$limit":"?"}]
├─ · count orders  CLIENT
├─ · update orders  CLIENT
│    db.query.text={"_id":"?"}
├─ · delete orders  CLIENT
│    db.query.text={"_id":"?"}
└─ · ping  CLIENT`,
  },
  '/errors': {
    answers: [{ error: DUPLICATE }, { error: 'refused' }, { error: 'connect ECONNREFUSED 127.0.0.1:1' }],
    trace: `
· GET  SERVER shop
├─ ✗ insert orders  CLIENT
│    ${DUPLICATE}
│    db.query.text={"_id":"?","mail":"?"}
└─ ✗ distinct orders  CLIENT
     refused
     db.query.text={"paid":"?"}`,
  },
  '/unhandled': { answers: { error: 'refused' }, trace: '' },
  '/suppressed': { answers: WELL, trace: '\n· GET  SERVER shop' },
}

describe('a service that asks MongoDB', () => {
  formatsInTurn(
    'each command is a span of its request without a value of the app’s, and the app hears what it hears without us',
    { cjs: appFile('mongodb-spans.cjs'), mjs: appFile('mongodb-spans.mjs') },
    async ({ app, node }) => {
      const server = await startMongoDbStandIn(BSON)
      const writeErrors = [{ index: 0, code: 11_000, errmsg: DUPLICATE }]
      server.refuse('insert', { ok: 1, code: 0, writeErrors })
      server.refuse('distinct', { code: 13 })
      const sink = await startOtlpSink()
      const env = { MONGODB_URL: server.url, OTEL_SERVICE_NAME: 'shop' }
      const child = startPreloaded({ app, node: node.path, sink, env })
      const url = await listening(child)
      const drawn = (traceId: string): string =>
        `\n${drawTrace(sink.trace(traceId), { stable: true, attributes: ['db.query.text'] })}`
      const traces = await askInEachWay(url, WAYS, sink, drawn)

      const { port } = new URL(server.url)
      const ofConnection = { 'db.system.name': 'mongodb', 'db.namespace': 'shop', 'server.address': '127.0.0.1' }
      const clients = sink.spans().filter(({ kind }) => kind === 'client')
      for (const { attributes } of clients)
        expect(attributes).toMatchObject({ ...ofConnection, 'server.port': Number(port) })
      expect(JSON.stringify(clients)).not.toContain('secret')
      const [failed] = sink.trace(traces.get('/errors')!).filter(({ status }) => status.code === 'error')
      expect(failed!.events.map(({ attributes }) => attributes)).toEqual([
        { 'exception.message': "MongoDB error of type 'MongoWriteError' occurred (code: 11000)" },
      ])
      const { text } = await get(`${await child.adminUrl()}/metrics`)
      expect(text).toMatch(
        /^db_client_operation_duration_seconds_count\{[^}]*db_operation_name="insert",db_system_name="mongodb",error_type="11000"/m,
      )
      await child.stop()
      await sink.close()
      await server.stop()
    },
  )
})
