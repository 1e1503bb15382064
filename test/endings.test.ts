/* oxlint-disable vitest/expect-expect -- what they expect is what a receipt says: expectEnds and receipts.ts */
// What ends work that nobody has begun, by the app's own call.
import {
  get,
  nodesUnderTest,
  present,
  service,
  startPreloaded,
  type MissingServer,
  type PreloadedApp,
  type ServerOf,
} from '@afterspan/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'
import { expectReceipt } from './receipts.ts'

let redis: ServerOf['redis'] | MissingServer
let postgres: ServerOf['postgres'] | MissingServer
beforeAll(async () => {
  ;[redis, postgres] = await Promise.all([service('redis'), service('postgres')])
})
afterAll(async () => {
  for (const server of [redis, postgres]) if (!('missing' in server)) await server.stop()
})

const REMOVED = { state: 'cancelled', reason: 'aborted', attempts: [] }
const WAITING = { state: 'enqueued', attempts: [] }

interface Expected {
  readonly verdict: 'kept' | 'open'
  readonly tasks: readonly object[]
}
const GONE: Expected = { verdict: 'kept', tasks: [REMOVED] }
const LEFT: Expected = { verdict: 'open', tasks: [WAITING] }

describe.each(nodesUnderTest())('on Node $major', (node) => {
  const start = (env: Readonly<Record<string, string>>): PreloadedApp =>
    startPreloaded({ app: appFile('endings.cjs'), node: node.path, env: { OTEL_SERVICE_NAME: 'web', ...env } })

  test('a job of BullMQ that was drained, cleaned, obliterated or removed with its parent stayed enqueued for ever', async (context) => {
    const { port } = present(redis, context)
    const app = start({ REDIS_PORT: String(port) })
    await expectEnds(app, {
      drain: GONE,
      drainDelayed: GONE,
      drainNotDelayed: LEFT,
      clean: GONE,
      cleanCompleted: LEFT,
      obliterate: GONE,
      remove: GONE,
      removeParent: { verdict: 'kept', tasks: [REMOVED, REMOVED, REMOVED] },
      removeChildren: { verdict: 'open', tasks: [WAITING, REMOVED, REMOVED] },
    })
  })

  test('a worker of BullMQ that a request closed left the request open for a QUIT without an answer', async (context) => {
    const { port } = present(redis, context)
    const app = start({ REDIS_PORT: String(port) })
    const [url, admin] = [await listening(app), await app.adminUrl()]
    const closed = traceIdOf(await get(`${url}/end/closeWorker`))
    // What comes later in the journal is known: so is what it left.
    await expectReceipt(admin, traceIdOf(await get(`${url}/send/drain`)), { tasks: [WAITING] })
    await expectReceipt(admin, closed, { tasks: [] })
    await app.stop()
  })

  test('a job of pg-boss whose queue was deleted or emptied stayed enqueued for ever', async (context) => {
    const app = start({ DATABASE_URL: present(postgres, context).url })
    await expectEnds(app, { deleteStoredJobs: LEFT, deleteQueue: GONE, deleteQueuedJobs: GONE, deleteAllJobs: GONE })
  })
})

/** One job, or tree of jobs, for each way; ended so. */
async function expectEnds(app: PreloadedApp, ways: Readonly<Record<string, Expected>>): Promise<void> {
  const url = await listening(app)
  const admin = await app.adminUrl()
  const traces = new Map<string, string>()
  for (const [way, { tasks }] of Object.entries(ways)) {
    const traceId = traceIdOf(await get(`${url}/send/${way}`))
    await expectReceipt(admin, traceId, { verdict: 'open', tasks: tasks.map(() => WAITING) })
    traces.set(way, traceId)
  }
  for (const way of Object.keys(ways)) expect(await get(`${url}/end/${way}`)).toMatchObject({ status: 200 })
  // The journal is read in order: once the last is told, what is open has not been told.
  for (const [way, { verdict, tasks }] of Object.entries(ways).toReversed()) {
    const inOrder = expect.toSatisfy((found: readonly { readonly name: string }[]) => {
      expect(found.toSorted((a, b) => ORDER.indexOf(a.name) - ORDER.indexOf(b.name))).toMatchObject(tasks)
      return true
    })
    await expectReceipt(admin, traces.get(way)!, { verdict, tasks: inOrder })
  }
  await app.stop()
}
const ORDER = ['parent', 'a', 'b']
