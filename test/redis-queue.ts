// What the queues have in common whose jobs lie in Redis: their apps send and run the same mail.
import { nodesUnderTest } from '@afterspan/testing'
import { createClient } from 'redis'
import { expect } from 'vitest'
import { appFile } from './app.ts'
import {
  holdsItsTongue,
  holdsWhatFails,
  holdsWhatIsDone,
  holdsWhatIsKilled,
  type QueueUnderTest,
} from './queue-conformance.ts'
import { expectReceipt, toldTrace } from './receipts.ts'
import { startRoles, type RolesOptions } from './roles.ts'

export const redisQueue = (system: string): QueueUnderTest => ({
  system,
  destination: 'mail',
  hanging: /^job \{"hangs":true\}$/,
})

/** The states, and the traces as they are drawn. */
export async function holdsItsMail(of: Pick<RolesOptions, 'app' | 'node'>, port: number, queue: QueueUnderTest) {
  const roles = await startRoles({ ...of, env: { REDIS_PORT: String(port) } })
  const worker = await roles.startReady('worker')
  await holdsWhatIsDone(roles, queue)
  const failed = await holdsWhatFails(roles, queue)
  expect(failed.drawing).toBe(FAILED)
  expect((await holdsWhatIsKilled(roles, worker, queue)).drawing).toBe(KILLED)
  await holdsItsTongue(roles)
}

const FAILED = `· GET /send/:how  SERVER web
└─ · send mail  PRODUCER
   ├─ ✗ process mail  CONSUMER worker
   │    TypeError: the mail server said no
   │    task.state=retrying task.reason=rejected task.attempt=1
   └─ ✗ process mail  CONSUMER worker
        TypeError: the mail server said no
        task.state=failed task.reason=retries_exhausted task.attempt=2`

const KILLED = `· GET /send/:how  SERVER web
└─ · send mail  PRODUCER
   └─ ✗ process mail  CONSUMER worker
        process_killed: the process is gone and left no exit record: SIGKILL, out of memory or alike
        task.state=lost task.reason=process_killed task.evidence=process_gone task.attempt=1`

/** The trace. Redis tells nobody: FLUSHDB, FLUSHALL, a restart that kept nothing. Each in a database of its own. */
export async function toldOfTheVanished(app: string, port: number, db: number, library: Record<string, string> = {}) {
  const client = await createClient({ url: `redis://127.0.0.1:${port}/${db}` }).connect()
  const watcher = await client.duplicate().connect()
  const { promise: looked, resolve } = Promise.withResolvers<void>()
  // What a script asks is said to come from 'lua'.
  await watcher.monitor((line) => /\[\d+ [\d.]+:\d+\] "get" "bull:mail:id"/i.test(String(line)) && resolve())
  const env = { REDIS_PORT: String(port), REDIS_DB: String(db), ...library }
  const roles = await startRoles({ app: appFile(app), node: nodesUnderTest().at(-1)!, env })
  const sent = await roles.ask('/send/succeeds')
  await expectReceipt(roles.admin, sent, { verdict: 'open', tasks: [{ state: 'enqueued' }] })
  await looked
  await client.flushDb()
  await expectReceipt(roles.admin, sent, {
    verdict: 'broken',
    tasks: [{ state: 'lost', reason: 'vanished_from_broker', evidence: 'broker' }],
  })
  const told = await toldTrace(roles.sink, sent, 'lost')
  watcher.destroy()
  await client.close()
  await holdsItsTongue(roles)
  return told
}
