import {
  bothFormats,
  formatsInTurn,
  get,
  nodesUnderTest,
  startPreloaded,
  type NodeUnderTest,
  type PreloadedApp,
} from '@afterspan/testing'
import type { Receipt } from 'afterspan'
import { startOtlpSink, type OtlpSink } from 'afterspan/internal'
import { describe, expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'
import { expectReceipt, settledReceipt, toldTrace } from './receipts.ts'

interface Running {
  readonly app: PreloadedApp
  readonly sink: OtlpSink
  readonly url: string
  /** Asks for the path, and waits until the receipt of that trace will do. */
  ask(path: string, isEnough?: (receipt: Receipt) => boolean): Promise<Receipt>
}

async function started(file: string, node: NodeUnderTest, env: Record<string, string> = {}): Promise<Running> {
  const sink = await startOtlpSink()
  const app = startPreloaded({ app: file, node: node.path, sink, env: { OTEL_SERVICE_NAME: 'web', ...env } })
  const url = await listening(app)
  return {
    app,
    sink,
    url,
    async ask(path, isEnough = isOver) {
      const reply = await get(`${url}${path}`)
      expect(reply.status).toBe(200)
      return settledReceipt(await app.adminUrl(), traceIdOf(reply), isEnough)
    },
  }
}

function isOver({ verdict, tasks }: Receipt): boolean {
  return tasks.length > 0 && verdict !== 'open'
}

/** What health says of a busy machine. */
const BUSY = /^\[afterspan\] AFS_HEALTH_CHANGED (?:event-loop|thread-pool) .*\n/gm

async function stop({ app, sink }: Running): Promise<void> {
  expect(app.stderr.replace(BUSY, '')).toBe('')
  await app.stop()
  await sink.close()
}

const CHILDREN: readonly [string, object][] = [
  ['/child?arg=1', { state: 'succeeded', name: 'node' }],
  ['/child?arg=process.exit(3)', { state: 'failed', reason: 'exited', exitCode: 3, name: 'node' }],
  ['/child-kill', { state: 'lost', reason: 'process_killed', signal: 'SIGKILL', evidence: 'exit_record' }],
  ['/child-own-kill', { state: 'cancelled', reason: 'aborted' }],
  ['/child-killed-by-number', { state: 'cancelled', reason: 'aborted' }],
  ['/child-group-killed', { state: 'cancelled', reason: 'aborted' }],
  ['/child-library', { state: 'failed', reason: 'exited', exitCode: 3 }],
  ['/child-disposed', { state: 'cancelled', reason: 'aborted' }],
  [
    '/child-floods',
    { state: 'failed', reason: 'exited', attempts: [{ failure: { type: 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER' } }] },
  ],
  ['/child-abort', { state: 'cancelled', reason: 'aborted' }],
  ['/child-timeout', { state: 'failed', reason: 'expired', attempts: [{ failure: { type: 'SIGTERM' } }] }],
  [
    '/child-missing',
    { state: 'failed', reason: 'threw', name: 'no-such-program', attempts: [{ failure: { type: 'ENOENT' } }] },
  ],
  ['/shell?arg=true', { state: 'succeeded', name: 'true' }],
  ['/shell?arg=SECRET%3Dx%20false', { state: 'failed', exitCode: 1, name: 'sh' }],
  ['/shell?arg=kill%20-9%20%24%24', { state: 'lost', reason: 'process_killed', signal: 'SIGKILL' }],
  ['/fork', { state: 'failed', reason: 'exited', exitCode: 1 }],
]

bothFormats(
  'what a request starts in a child process ends in its receipt',
  { cjs: appFile('handles.cjs'), mjs: appFile('handles.mjs') },
  async ({ app, node }) => {
    const running = await started(app, node)
    const receipts = await Promise.all(CHILDREN.map(async ([path]) => [path, await running.ask(path)] as const))
    for (const [i, [path, { tasks }]] of receipts.entries()) {
      expect([path, tasks]).toMatchObject([path, [{ system: 'child_process', ...CHILDREN[i]![1] }]])
    }
    const traceId = receipts[2]![1].traceId
    expect(await toldTrace(running.sink, traceId, 'lost')).toMatchInlineSnapshot(`
      "· GET  SERVER web
      └─ ✗ node  INTERNAL
           process_killed: ended by SIGKILL
           task.state=lost task.reason=process_killed task.evidence=exit_record"
    `)
    await stop(running)
  },
)

describe.each(nodesUnderTest())('what one request starts and all use, on Node $major', (node) => {
  test.each(['thread', 'child'])('left the first request open for as long as the %s lived', async (kind) => {
    const running = await started(appFile('handles.cjs'), node)
    const first = await running.ask(`/kept-${kind}`, ({ tasks }) => tasks.length > 0)
    await running.app.waitForLine(new RegExp(`^the ${kind} has answered$`))
    await get(`${running.url}/kept-${kind}`)
    const done = { verdict: 'kept', tasks: [{ state: 'succeeded' }] }
    expect(await expectReceipt(await running.app.adminUrl(), first.traceId, done)).toMatchObject(done)
    await stop(running)
  })

  test.each([
    ['thread', 'throws', 'broken', [{ state: 'failed', reason: 'threw' }]],
    ['child', 'exits', 'unknown', []],
  ])(
    'a %s that died of the second request was told, and replaced, as work of the first',
    async (kind, end, ...told) => {
      const running = await started(appFile('handles.cjs'), node)
      const [first, second] = await Promise.all([
        running.ask(`/replaced-${kind}?arg=done`),
        get(`${running.url}/replaced-${kind}?arg=${end}`),
      ])
      expect(first.tasks).toMatchObject([{ state: 'succeeded' }])
      const admin = await running.app.adminUrl()
      const [verdict, tasks] = told
      await expectReceipt(admin, traceIdOf(second), { verdict, tasks })
      // Its row would have come by now.
      await running.ask('/thread?arg=silent')
      expect((await expectReceipt(admin, first.traceId, { verdict: 'kept' })).tasks).toHaveLength(1)
      await stop(running)
    },
  )
})

const THREADS: readonly [string, object][] = [
  ['/thread?arg=done', { state: 'succeeded' }],
  ['/thread?arg=silent', { state: 'succeeded' }],
  ['/thread-answer-terminate', { state: 'succeeded' }],
  ['/thread?arg=throws', { state: 'failed', reason: 'threw', attempts: [{ failure: { type: 'RangeError' } }] }],
  ['/thread-post', { state: 'failed', reason: 'threw', attempts: [{ failure: { type: 'RangeError' } }] }],
  ['/thread-never-began', { state: 'lost', reason: 'worker_terminated', exitCode: 0 }],
  ['/thread-terminate', { state: 'lost', reason: 'worker_terminated', exitCode: 1 }],
]

bothFormats(
  'a thread that a request starts ends in its receipt',
  { cjs: appFile('handles.cjs'), mjs: appFile('handles.mjs') },
  async ({ app, node }) => {
    const running = await started(app, node)
    const receipts = await Promise.all(THREADS.map(async ([path]) => [path, await running.ask(path)] as const))
    for (const [i, [path, { tasks }]] of receipts.entries()) {
      expect([path, tasks]).toMatchObject([path, [{ system: 'worker_threads', ...THREADS[i]![1] }]])
    }
    await stop(running)
  },
)

describe.each(nodesUnderTest())('what is posted to a thread of all, on Node $major', (node) => {
  test.each([
    ['/post?arg=throws', { state: 'failed', reason: 'threw', attempts: [{ failure: { type: 'RangeError' } }] }],
    ['/post?arg=exits', { state: 'lost', reason: 'worker_terminated', exitCode: 7, evidence: 'exit_record' }],
    [
      '/post?arg=memory',
      {
        state: 'lost',
        reason: 'worker_terminated',
        attempts: [{ failure: { type: 'ERR_WORKER_OUT_OF_MEMORY' } }],
      },
    ],
    ['/post-and-terminate', { state: 'lost', reason: 'worker_terminated', exitCode: 1 }],
    ['/post-function', { state: 'failed', reason: 'threw', attempts: [{ failure: { type: 'DataCloneError' } }] }],
  ])('%s breaks the promise of its request alone', async (path, row) => {
    const running = await started(appFile('handles.cjs'), node)
    const done = await running.ask('/post?arg=done')
    expect(done.tasks).toMatchObject([{ state: 'succeeded', system: 'worker_threads' }])
    const broken = await running.ask(path)
    expect(broken).toMatchObject({ verdict: 'broken', tasks: [row] })
    await stop(running)
  })

  test('a thread that hangs leaves its post open and overdue, and the death of the process loses it', async () => {
    const running = await started(appFile('handles.cjs'), node, { AFTERSPAN_OVERDUE_MS: '100' })
    const hanging = await running.ask('/post?arg=hangs', ({ tasks }) => tasks[0]?.flags.overdue === true)
    expect(hanging).toMatchObject({ verdict: 'open', tasks: [{ state: 'running', flags: { overdue: true } }] })
    await running.app.stop()
    const next = startPreloaded({
      app: appFile('handles.cjs'),
      node: node.path,
      sink: running.sink,
      ledgerDir: running.app.ledgerDir,
    })
    await listening(next)
    const after = await settledReceipt(await next.adminUrl(), hanging.traceId, isOver)
    expect(after.tasks).toMatchObject([{ state: 'lost', reason: 'process_killed' }])
    await next.stop()
    await running.sink.close()
  })

  test('a thread that never answers does not keep its requests open', async () => {
    const running = await started(appFile('handles.cjs'), node)
    const url = await listening(running.app)
    const replies = await Promise.all(Array.from({ length: 20 }, () => get(`${url}/post?arg=hangs`)))
    const admin = await running.app.adminUrl()
    const verdicts = await Promise.all(
      replies.map(async (reply) => {
        const over = ['kept', 'unknown', 'promised_nothing']
        return (await settledReceipt(admin, traceIdOf(reply), ({ verdict }) => over.includes(verdict))).verdict
      }),
    )
    expect(verdicts.filter((verdict) => verdict === 'kept').length).toBeGreaterThan(10)
    await stop(running)
  })
})

/** By what each has them work. */
const POOLS: Readonly<Record<string, string>> = {
  piscina: 'run',
  tinypool: 'run',
  workerpool: 'exec',
  poolifier: 'execute',
}
formatsInTurn(
  'what a pool of threads was to do was told of nowhere when it hung or its process died',
  { cjs: appFile('pools.cjs'), mjs: appFile('pools.mjs') },
  async ({ app: file, node }) => {
    const { app, sink, url } = await started(file, node)
    const admin = await app.adminUrl()
    const ask = async (path: string): Promise<string> => traceIdOf(await get(`${url}/${path}`))
    // And nothing beside it: neither the threads, which are kept, nor what the pool posts to them.
    const run = (pool: string, row: object): object[] => [{ name: `${pool} ${POOLS[pool]}`, ...row }]
    const hanging: [pool: string, traceId: string][] = []
    for (const pool of Object.keys(POOLS)) {
      await expectReceipt(admin, await ask(`${pool}/fine`), {
        verdict: 'kept',
        tasks: run(pool, { state: 'succeeded' }),
      })
      const failed = run(pool, { state: 'failed', reason: 'rejected' })
      await expectReceipt(admin, await ask(`${pool}/fails`), { verdict: 'broken', tasks: failed })
      const traceId = await ask(`${pool}/hangs`)
      await expectReceipt(admin, traceId, { verdict: 'open', tasks: run(pool, { state: 'running' }) })
      hanging.push([pool, traceId])
    }
    // It counted as the app's own wish where a signal's time had run out, and as a failure where the app had cancelled it.
    const attempts = [{ failure: { type: 'TimeoutError' } }]
    const late = run('piscina', { state: 'failed', reason: 'rejected', attempts })
    await expectReceipt(admin, await ask('piscina/overtime'), { verdict: 'broken', tasks: late })
    const unwanted = run('workerpool', { state: 'cancelled', reason: 'aborted' })
    await expectReceipt(admin, await ask('workerpool/unwanted'), { verdict: 'kept', tasks: unwanted })
    expect(app.stderr).toBe('')
    await app.stop()
    const next = startPreloaded({ app: file, node: node.path, sink, ledgerDir: app.ledgerDir })
    await listening(next)
    for (const [pool, traceId] of hanging) {
      const lost = run(pool, { state: 'lost', reason: 'process_killed' })
      await expectReceipt(await next.adminUrl(), traceId, { verdict: 'broken', tasks: lost })
    }
    await next.stop()
    await sink.close()
  },
)
