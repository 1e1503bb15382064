// What a page of Next.js leaves to after() failed, or died with the process, and nothing said so: Next.js catches it and prints it. So it
// was with what a handler gives to waitUntil() of srvx.
import { get, nodesUnderTest, startPreloaded, tempDir } from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'
import { expectReceipt } from './receipts.ts'

const ENDS = {
  done: { verdict: 'kept', tasks: [{ name: 'after', state: 'succeeded' }] },
  handles: { verdict: 'kept', tasks: [{ name: 'after', state: 'succeeded' }] },
  fails: { verdict: 'broken', tasks: [{ name: 'after', state: 'failed', reason: 'rejected' }] },
  throws: { verdict: 'broken', tasks: [{ name: 'after', state: 'failed', reason: 'threw' }] },
  promise: { verdict: 'broken', tasks: [{ name: 'after', state: 'failed', reason: 'rejected' }] },
  // Next.js’s own span of the request ends after the response: it was taken for work that is left behind.
  plain: { verdict: 'unknown', tasks: [] },
  nothing: { verdict: 'unknown', tasks: [] },
  // What a handler of an API route throws once it has answered Next.js prints, and nothing else.
  throwsBehind: { verdict: 'broken', tasks: [{ name: 'TypeError', state: 'failed', reason: 'threw' }] },
  throwsAtOnce: { verdict: 'broken', tasks: [{ name: 'RangeError', state: 'failed', reason: 'threw' }] },
  printsBehind: { verdict: 'unknown', tasks: [] },
  printsWhatItGot: { verdict: 'unknown', tasks: [] },
  refuses: { verdict: 'unknown', tasks: [] },
  hangs: { verdict: 'broken', tasks: [{ name: 'after', state: 'lost', reason: 'process_killed' }] },
}

const PRINTED = ['RangeError: no mail', ...Array.from({ length: 4 }, () => 'TypeError: no receipt')]

test.each(nodesUnderTest())(
  'what is left to after() of Next.js is followed, and what an API route throws behind its response: Node $major',
  async (node) => {
    const sink = await startOtlpSink()
    const ledgerDir = tempDir('ledger')
    const env = { FOLDER: tempDir('next'), OTEL_BSP_SCHEDULE_DELAY: '5' }
    const common = { app: appFile('next-after.cjs'), node: node.path, sink, ledgerDir, env }
    const app = startPreloaded(common)
    const url = await listening(app)
    const traces = new Map<string, string>()
    for (const way of Object.keys(ENDS)) traces.set(way, traceIdOf(await get(`${url}/${way}`)))
    await app.waitForLine(/^hanging/m)
    const admin = await app.adminUrl()
    for (const [way, receipt] of Object.entries(ENDS).slice(0, -1))
      await expectReceipt(admin, traces.get(way)!, receipt)
    await get(`${url}/kill`).catch(() => {})
    expect(await app.exit).toMatchObject({ signal: 'SIGKILL' })

    const witness = startPreloaded({ ...common, env: { ...env, FOLDER: tempDir('next') } })
    await expectReceipt(await witness.adminUrl(), traces.get('hangs')!, ENDS.hangs)
    expect(app.stderr.match(/^\w+Error: .*$/gm)!.toSorted()).toEqual(PRINTED)
    expect(app.stdout.match(/^(?:caught|threw) .*$/gm)!.toSorted()).toEqual([
      'caught no mail',
      'caught no receipt',
      'caught no receipt',
      'threw `after()`: Argument must be a promise or a function',
    ])
    await witness.stop()
    await sink.close()
  },
)

test.each(nodesUnderTest())('what is left to waitUntil() of srvx is followed: Node $major', async (node) => {
  const sink = await startOtlpSink()
  const app = startPreloaded({ app: appFile('wait-until.mjs'), node: node.path, sink })
  const url = await listening(app)
  const ask = async (path: string): Promise<string> => traceIdOf(await get(`${url}/${path}`))
  const [done, fails, plain] = [await ask('done'), await ask('fails'), await ask('plain')]
  const admin = await app.adminUrl()
  const task = { name: 'waitUntil' }
  await expectReceipt(admin, done, { verdict: 'kept', tasks: [{ ...task, state: 'succeeded' }] })
  await expectReceipt(admin, fails, { verdict: 'broken', tasks: [{ ...task, state: 'failed', reason: 'rejected' }] })
  await expectReceipt(admin, plain, { verdict: 'unknown', tasks: [] })
  await app.stop()
  // As srvx prints it, with nothing of ours in the stack.
  expect(app.stderr).toMatch(/^TypeError: no receipt\n {4}at .*wait-until\.mjs/)
  expect(app.stderr).not.toMatch(/afterspan/)
  await sink.close()
})
