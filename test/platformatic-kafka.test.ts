import { randomUUID } from 'node:crypto'
import {
  bothFormats,
  get,
  present,
  service,
  startPreloaded,
  tempDir,
  type MissingServer,
  type ServerOf,
} from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'
import { expectReceipt } from './receipts.ts'

let kafka: ServerOf['kafka'] | MissingServer
beforeAll(async () => {
  kafka = await service('kafka')
})
afterAll(async () => {
  if (!('missing' in kafka)) await kafka.stop()
})

describe('a service whose work goes through @platformatic/kafka', () => {
  bothFormats(
    'work that is done, and work that is lost with its process and taken up by the next',
    { cjs: appFile('platformatic-kafka.cjs'), mjs: appFile('platformatic-kafka.mjs') },
    async ({ app, node, context }) => {
      const { url: broker } = present(kafka, context)
      const sink = await startOtlpSink()
      const ledgerDir = tempDir('ledger')
      const topic = `mail-${randomUUID()}`
      const start = (role: string, env: Record<string, string> = {}): ReturnType<typeof startPreloaded> =>
        startPreloaded({
          app,
          node: node.path,
          sink,
          ledgerDir,
          env: { KAFKA: broker, TOPIC: topic, ROLE: role, OTEL_SERVICE_NAME: role, ...env },
        })
      const web = start('web')
      const url = await listening(web)
      const admin = await web.adminUrl()
      const send = async (how: string): Promise<string> => traceIdOf(await get(`${url}/send/${how}`))
      const good = await send('succeeds')
      const worker = start('worker')
      await expectReceipt(admin, good, {
        verdict: 'kept',
        tasks: [{ state: 'succeeded', system: 'kafka', destination: topic, messageId: `${topic}/0/0` }],
      })
      const doomed = await send('hangs')
      await worker.waitForLine(/^record hangs$/)
      await worker.stop()
      await expectReceipt(admin, doomed, {
        tasks: [{ state: 'lost', reason: 'process_killed', evidence: 'process_gone' }],
      })
      const next = start('worker', { FAST: '1' })
      await expectReceipt(admin, doomed, {
        verdict: 'kept',
        tasks: [
          { flags: { recovered: true, duplicate: false }, attempts: [{ state: 'lost' }, { state: 'succeeded' }] },
        ],
      })
      expect(web.stderr + worker.stderr + next.stderr).toBe('')
      await Promise.all([web.stop(), next.stop(), sink.close()])
    },
  )
})
