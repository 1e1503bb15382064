// What is told of Redis asked by ioredis: each form of a command, and what of it is shown.
import { formatsInTurn, sharedService, startPreloaded } from '@afterspan/testing'
import { drawTrace, startOtlpSink } from 'afterspan/internal'
import { describe, expect } from 'vitest'
import { appFile, listening } from './app.ts'
import { askInEachWay, type Way } from './ways.ts'

const redis = sharedService('redis')

const CLOSED = { error: 'Connection is closed.' }
const NO_NUMBER = 'ERR value is not an integer or out of range'
const WRONG_TYPE = 'WRONGTYPE Operation against a key holding the wrong kind of value'

/** What the app hears in each way of asking, as it does without us, and what is told of it. */
const WAYS: Readonly<Record<string, Way>> = {
  '/commands': {
    answers: ['OK', 'secret', 2, ['secret', null], 'PONG', 'sec', 6, 'secret'].map((result) => ({ result })),
    trace: `
· GET  SERVER shop
├─ · set  CLIENT
│    db.operation.name=set db.query.text=set key [3 other arguments]
├─ · get  CLIENT
│    db.operation.name=get db.query.text=get key
├─ · hset  CLIENT
│    db.operation.name=hset db.query.text=hset hash field [3 other arguments]
├─ · mget  CLIENT
│    db.operation.name=mget db.query.text=mget [2 other arguments]
├─ · ping  CLIENT
│    db.operation.name=ping db.query.text=ping
├─ · GETRANGE  CLIENT
│    db.operation.name=GETRANGE db.query.text=GETRANGE key 0 2
├─ · strlen  CLIENT
│    db.operation.name=strlen db.query.text=strlen [1 other arguments]
└─ · get  CLIENT
     db.operation.name=get db.query.text=get key`,
  },
  '/errors': {
    answers: [{ error: NO_NUMBER }, { error: WRONG_TYPE }, { error: expect.stringContaining('ERR unknown command') }],
    trace: `
· GET  SERVER shop
├─ ✗ incr  CLIENT
│    ReplyError: ERR value is not an integer or out of range
│    db.operation.name=incr db.query.text=incr key
├─ ✗ lpush  CLIENT
│    ReplyError: WRONGTYPE Operation against a key holding the wrong kind of value
│    db.operation.name=lpush db.query.text=lpush key [1 other arguments]
└─ ✗ NONSENSE  CLIENT
     ReplyError: ERR unknown command …
     db.operation.name=NONSENSE db.query.text=NONSENSE [1 other arguments]`,
  },
  '/together': {
    answers: [
      { results: ['OK', NO_NUMBER] },
      {
        results: [
          [null, 'OK'],
          [null, '2'],
        ],
      },
    ],
    trace: `
· GET  SERVER shop
├─ · set  CLIENT
│    db.operation.name=PIPELINE set db.query.text=set a [1 other arguments]
├─ ✗ incr  CLIENT
│    ReplyError: ERR value is not an integer or out of range
│    db.operation.name=PIPELINE incr db.query.text=incr key
├─ · multi  CLIENT
│    db.operation.name=multi db.query.text=multi
├─ · set  CLIENT
│    db.operation.name=MULTI set db.query.text=set b [1 other arguments]
├─ · get  CLIENT
│    db.operation.name=MULTI get db.query.text=get b
└─ · exec  CLIENT
     db.operation.name=exec db.query.text=exec`,
  },
  '/script': {
    answers: [{ result: 7 }, { result: 15 }],
    trace: `
· GET  SERVER shop
├─ · evalsha  CLIENT
│    db.operation.name=evalsha db.query.text=evalsha * 1 number 3
└─ · evalsha  CLIENT
     db.operation.name=evalsha db.query.text=evalsha * 1 number 4`,
  },
  '/connect': {
    answers: [{ result: 'secret' }, { result: 'secret' }, { result: 'OK' }, CLOSED],
    trace: `
· GET  SERVER shop
├─ · connect  CLIENT
│    db.query.text=connect
├─ · get  CLIENT
│    db.operation.name=get db.query.text=get key
├─ · get  CLIENT
│    db.operation.name=get db.query.text=get key
├─ · connect  CLIENT
│    db.query.text=connect
├─ · quit  CLIENT
│    db.operation.name=quit db.query.text=quit
├─ ✗ get  CLIENT
│    Error: Connection is closed.
│    db.operation.name=get db.query.text=get key
└─ · connect  CLIENT
     db.query.text=connect`,
  },
  '/closed': {
    answers: CLOSED,
    trace: `
· GET  SERVER shop
├─ · connect  CLIENT
│    db.query.text=connect
├─ · quit  CLIENT
│    db.operation.name=quit db.query.text=quit
└─ ✗ get  CLIENT
     Error: Connection is closed.
     db.operation.name=get db.query.text=get key`,
  },
  '/unhandled': { answers: { error: NO_NUMBER }, trace: '' },
  '/suppressed': { answers: { result: 'secret' }, trace: '\n· GET  SERVER shop' },
}
const SHOWN = ['db.operation.name', 'db.query.text']
/** What ioredis says of itself to a new connection depends on the server's version. */
const GREETINGS = new Set(['client', 'hello', 'info', 'select'])

describe('a service that asks Redis', () => {
  formatsInTurn(
    'each command is one span of its request, without what the app stores, and the app hears what it hears without us',
    { cjs: appFile('redis-spans.cjs'), mjs: appFile('redis-spans.mjs') },
    async ({ app, node, context }) => {
      const { port } = redis(context)
      const sink = await startOtlpSink()
      const env = { REDIS_PORT: String(port), OTEL_SERVICE_NAME: 'shop' }
      const child = startPreloaded({ app, node: node.path, sink, env })
      const url = await listening(child)
      const drawn = (traceId: string): string => {
        const spans = sink.trace(traceId).filter(({ name }) => !GREETINGS.has(name))
        const text = drawTrace(spans, { stable: true, attributes: SHOWN })
        return `\n${text.replace(/(ERR unknown command).*/, '$1 …')}`
      }
      await askInEachWay(url, WAYS, sink, drawn)
      for (const { attributes } of sink.spans().filter(({ kind }) => kind === 'client'))
        expect(attributes).toMatchObject({
          'db.system.name': 'redis',
          'server.address': '127.0.0.1',
          'server.port': attributes['server.port'] === 1 ? 1 : port,
        })
      await child.stop()
      await sink.close()
    },
  )
})
