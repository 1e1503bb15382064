import { bothFormats, get, nodesUnderTest, pollUntil, runApp, startPreloaded } from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'
import { expectReceipt } from './receipts.ts'

const ACTS = [
  'fastq',
  'fastqThrows',
  'fastqPromise',
  'asyncQueue',
  'asyncPromise',
  'asyncCargo',
  'asyncFile',
  'asyncMemoize',
  'bottleneck',
  'asyncLock',
  'dataloader',
  'bluebird',
  'mysql2',
  'debounce',
  'debounceFile',
  'debounceModule',
  'throttle',
  'concatMap',
  'concatMapLazy',
  'debounceTime',
  'throttleTime',
  'auditTime',
  'resource',
]
/** The statement itself, which goes on behind the response, is a task of its request too. */
const isNoCall = ({ name }: { readonly name: string }): boolean => !['FIRST', 'SECOND'].includes(name)
/** Whose it is cannot be said: it is nobody's, and not the first one's. */
const NOBODYS = ['fastqRejects']

bothFormats(
  'what one request had put into a queue was told of the request whose work ran before it',
  { cjs: appFile('queues.cjs'), mjs: appFile('queues.mjs') },
  async ({ app: file, node }) => {
    const sink = await startOtlpSink()
    const app = startPreloaded({
      app: file,
      node: node.path,
      sink,
      env: { OTEL_SERVICE_NAME: 'web' },
    })
    const url = await listening(app)
    const ask = async (act: string, which: string) => traceIdOf(await get(`${url}/${act}/${which}`))
    const pairs: [act: string, first: string, second: string][] = []
    for (const act of [...ACTS, ...NOBODYS]) pairs.push([act, await ask(act, 'first'), await ask(act, 'second')])
    const admin = await app.adminUrl()
    for (const [act, , second] of pairs.filter((pair) => ACTS.includes(pair[0]))) {
      const { tasks } = await expectReceipt(admin, second, { verdict: 'broken' })
      expect([act, tasks.filter(isNoCall)]).toMatchObject([act, [{ state: 'failed', name: 'RangeError' }]])
    }
    const nobodys = await pollUntil(
      async () => {
        const { tasks = [] } = JSON.parse((await get(`${admin}/tasks`)).text) as { tasks?: Record<string, unknown>[] }
        const found = tasks.filter(({ unattributed, state }) => unattributed && state === 'failed')
        return found.length === NOBODYS.length ? found : undefined
      },
      { timeoutMs: 20_000 },
    )
    for (const row of nobodys) expect(row).toMatchObject({ state: 'failed', error_type: 'RangeError' })
    const candidates = pairs.filter(([act]) => act === 'fastqRejects').map(([, ...traces]) => traces)[0]!
    expect(nobodys[0]!['candidates']).toEqual(expect.arrayContaining(candidates))
    for (const [act, first] of pairs) {
      const { tasks } = await expectReceipt(admin, first, {})
      expect([act, tasks.filter(isNoCall)]).toEqual([act, []])
    }
    expect(app.stderr).toBe('')
    await app.stop()
    await sink.close()
  },
)

test.each(nodesUnderTest())('an app sees of its queues what it sees without us, on Node $major', async (node) => {
  const app = appFile('queues-seen.cjs')
  const bare = runApp({ args: [app], node: node.path })
  const ours = startPreloaded({ app, node: node.path })
  expect(await bare.exit).toMatchObject({ code: 0 })
  expect(await ours.exit).toMatchObject({ code: 0 })
  expect(bare.stdout.split('\n').length).toBeGreaterThan(40)
  expect(ours.stdout).toBe(bare.stdout)
  expect(ours.stderr).toBe('')
})
