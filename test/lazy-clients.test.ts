import { bothFormats, get, sharedService, startPreloaded } from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { expect } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'
import { expectReceipt } from './receipts.ts'

const redis = sharedService('redis')

bothFormats(
  'what Redis refused one request was told of the request that had opened the connection, and so was a greeting of ioredis',
  { cjs: appFile('lazy-clients.cjs'), mjs: appFile('lazy-clients.mjs') },
  async ({ app: file, node, context }) => {
    const { port } = redis(context)
    const sink = await startOtlpSink()
    const env = { REDIS_PORT: String(port), OTEL_SERVICE_NAME: 'web' }
    const app = startPreloaded({ app: file, node: node.path, sink, env })
    const url = await listening(app)
    const first = traceIdOf(await get(`${url}/first`))
    const admin = await app.adminUrl()
    await expectReceipt(admin, first, { verdict: 'kept' })
    const second = traceIdOf(await get(`${url}/second`))
    await app.waitForLine(/^caught ERR value is not an integer/)
    const failed = { verdict: 'broken', tasks: [{ name: 'incr', state: 'failed' }] }
    expect((await expectReceipt(admin, second, failed)).tasks).toHaveLength(1)
    // A rejection is called a failure after a second: one that comes later and is told shows that this one never will be.
    const third = traceIdOf(await get(`${url}/second`))
    expect((await expectReceipt(admin, third, failed)).tasks).toHaveLength(1)
    const { tasks } = await expectReceipt(admin, first, { verdict: 'kept' })
    expect(tasks.filter(({ state }) => state === 'failed')).toEqual([])
    await app.stop()
    await sink.close()
  },
)
