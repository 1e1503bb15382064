// What is told of Redis asked by node-redis: each form of a command, and what of it is shown.
import { formatsInTurn, sharedService, startPreloaded } from '@afterspan/testing'
import { drawTrace, startOtlpSink } from 'afterspan/internal'
import { describe, expect } from 'vitest'
import { appFile, listening } from './app.ts'
import { askInEachWay, type Way } from './ways.ts'

const redis = sharedService('redis')

const NO_NUMBER = 'ERR value is not an integer or out of range'

/** What the app hears in each way of asking, as it does without us, and what is told of it. */
const WAYS: Readonly<Record<string, Way>> = {
  '/commands': {
    answers: [{ result: 'OK' }, { result: 'secret' }, { result: 1 }, { result: 'sec' }, { error: NO_NUMBER }],
    trace: `
· GET  SERVER shop
├─ · redis-SET  CLIENT
│    db.operation.name=SET db.query.text=SET key [3 other arguments]
├─ · redis-GET  CLIENT
│    db.operation.name=GET db.query.text=GET key
├─ · redis-HSET  CLIENT
│    db.operation.name=HSET db.query.text=HSET hash field [1 other arguments]
├─ · redis-GETRANGE  CLIENT
│    db.operation.name=GETRANGE db.query.text=GETRANGE key 0 2
└─ ✗ redis-INCR  CLIENT
     Error: ERR value is not an integer or out of range
     db.operation.name=INCR db.query.text=INCR key`,
  },
  '/together': {
    answers: [
      { result: ['OK', 'secret'] },
      { result: ['secret', 'secret'] },
      { error: '1 commands failed, see .replies and .errorIndexes for more information' },
    ],
    trace: `
· GET  SERVER shop
├─ · redis-SET  CLIENT
│    db.operation.name=MULTI db.query.text=SET a [1 other arguments]
├─ · redis-GET  CLIENT
│    db.operation.name=MULTI db.query.text=GET a
├─ · redis-GET  CLIENT
│    db.operation.name=PIPELINE GET db.query.text=GET a
├─ · redis-GET  CLIENT
│    db.operation.name=PIPELINE GET db.query.text=GET a
├─ · redis-GET  CLIENT
│    db.operation.name=MULTI db.query.text=GET a
└─ ✗ redis-INCR  CLIENT
     Error: ERR value is not an integer or out of range
     db.operation.name=MULTI db.query.text=INCR key`,
  },
  '/closed': {
    answers: { error: 'The client is closed' },
    trace: `
· GET  SERVER shop
└─ ✗ redis-GET  CLIENT
     Error: The client is closed
     db.operation.name=GET db.query.text=GET key`,
  },
  '/unhandled': { answers: { error: NO_NUMBER }, trace: '' },
  '/suppressed': { answers: { result: 'secret' }, trace: '\n· GET  SERVER shop' },
}
const SHOWN = ['db.operation.name', 'db.query.text']
describe('a service that asks Redis by node-redis', () => {
  formatsInTurn(
    'each command is one span of its request, without what the app stores, and the app hears what it hears without us',
    { cjs: appFile('node-redis-spans.cjs'), mjs: appFile('node-redis-spans.mjs') },
    async ({ app, node, context }) => {
      const { port, url: REDIS_URL } = redis(context)
      const sink = await startOtlpSink()
      const env = { REDIS_URL, OTEL_SERVICE_NAME: 'shop' }
      const child = startPreloaded({ app, node: node.path, sink, env })
      const url = await listening(child)
      const drawn = (traceId: string): string =>
        `\n${drawTrace(sink.trace(traceId), { stable: true, attributes: SHOWN })}`
      await askInEachWay(url, WAYS, sink, drawn)
      for (const { attributes } of sink.spans().filter(({ kind }) => kind === 'client'))
        expect(attributes).toMatchObject({
          'db.system.name': 'redis',
          'server.address': '127.0.0.1',
          'server.port': port,
        })
      await child.stop()
      await sink.close()
    },
  )
})
