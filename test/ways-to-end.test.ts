import {
  get,
  nodesUnderTest,
  runApp,
  startPreloaded,
  type AppExit,
  type NodeUnderTest,
  type RunningApp,
} from '@afterspan/testing'
import { startOtlpSink, type OtlpSink, type StoredSpan } from 'afterspan/internal'
import { describe, expect, test } from 'vitest'
import { appFile, listening } from './app.ts'

const APP = appFile('ways-to-end.cjs')
const CRASHES: Readonly<Record<string, { readonly type: string; readonly message: string }>> = {
  timer: { type: 'RangeError', message: 'in a timer' },
  tick: { type: 'RangeError', message: 'in a tick' },
  microtask: { type: 'RangeError', message: 'in a microtask' },
  callback: { type: 'RangeError', message: 'in a callback' },
  emitter: { type: 'RangeError', message: 'from an emitter' },
  rejection: { type: 'RangeError', message: 'nobody awaits this' },
  null: { type: 'null', message: 'null' },
  string: { type: 'string', message: 'a string' },
  frozen: { type: 'RangeError', message: 'frozen' },
  getter: { type: 'RangeError', message: '' },
  async: { type: 'RangeError', message: 'in an async handler' },
  undefined: { type: 'undefined', message: 'undefined' },
  rejectNull: { type: 'UnhandledPromiseRejection', message: expect.stringContaining('"null"') as string },
  proxy: { type: 'Error', message: '' },
  domain: { type: 'RangeError', message: 'in a domain' },
  thread: {
    type: 'ERR_WORKER_OUT_OF_MEMORY',
    message: 'Worker terminated due to reaching memory limit: JS heap out of memory',
  },
  threadExit: { type: 'RangeError', message: 'at the exit of a thread' },
  child: { type: 'ENOENT', message: 'spawn /no/such/program ENOENT' },
}

/** Three requests: one that is answered, one that hangs, and the one that ends the process. */
async function drive(app: RunningApp): Promise<AppExit> {
  const url = await listening(app)
  await get(`${url}/done`)
  const ignore = (): void => {}
  get(`${url}/bystander`).catch(ignore)
  await app.waitForLine(/^bystander$/)
  get(`${url}/act`).catch(ignore)
  return app.exit
}

function of(sink: OtlpSink, path: string): StoredSpan | undefined {
  return sink.spans().find((span) => span.kind === 'server' && span.attributes['url.path'] === path)
}

/** Without the frames of Node's own that its async context adds: every AsyncLocalStorage does. */
function frames(stderr: string): string {
  return stderr.replace(/^ +at .*\(?node:(?:internal|async_hooks|events).*\n/gm, '')
}

/** Enough for a busy machine: what is asked here is that everything arrives. The requests are never answered, and a drain would wait for them. */
const env = { AFTERSPAN_EXIT_HOLD_MS: '5000', AFTERSPAN_DRAIN_MS: '0' }

/** The same act without Afterspan: what exit code and stderr must be. */
async function bare(node: NodeUnderTest, act: string): Promise<{ readonly how: AppExit; readonly stderr: string }> {
  const app = runApp({ args: [APP, act], node: node.path })
  return { how: await drive(app), stderr: app.stderr }
}

describe.each(nodesUnderTest())('on Node $major', (node) => {
  test.each(Object.keys(CRASHES))(
    'a crash (%s) names the guilty request and keeps exit code and stderr',
    async (act) => {
      const plain = await bare(node, act)
      const sink = await startOtlpSink()
      const app = startPreloaded({ app: APP, args: [act], node: node.path, sink, env })
      expect(await drive(app)).toEqual(plain.how)
      expect(frames(app.stderr)).toBe(frames(plain.stderr))

      const { type, message } = CRASHES[act]!
      const culprit = of(sink, '/act')!
      const bystander = of(sink, '/bystander')!
      expect(culprit.attributes).toMatchObject({ 'afterspan.crash.role': 'culprit', 'error.type': type })
      expect(culprit.status).toEqual({ code: 'error', ...(message ? { message } : {}) })
      expect(bystander.attributes['afterspan.crash.role']).toBe('bystander')
      expect(bystander.links.map((link) => link.spanId)).toEqual([culprit.spanId])
      expect(of(sink, '/done')!.status.code).toBe('unset')
      await sink.close()
    },
  )

  test('a crash (overflow) whose context is lost delivers every span all the same', async () => {
    const act = 'overflow'
    const plain = await bare(node, act)
    const sink = await startOtlpSink()
    const app = startPreloaded({ app: APP, args: [act], node: node.path, sink, env })
    expect(await drive(app)).toEqual(plain.how)
    expect(frames(app.stderr)).toBe(frames(plain.stderr))
    for (const path of ['/act', '/bystander'])
      expect(of(sink, path)!.attributes['error.type'] ?? '').toMatch(/^(RangeError|crashed)$/)
    expect(of(sink, '/act')!.events.map(({ name }) => name)).toEqual(['exception'])
    expect(of(sink, '/done')!.status.code).toBe('unset')
    await sink.close()
  })

  test.each(['exit', 'exitInExit', 'throwInExit', 'natural', 'sigterm', 'sigint', 'sighup'])(
    'an end by %s delivers what is finished and what is in flight',
    async (act) => {
      const plain = await bare(node, act)
      const sink = await startOtlpSink()
      const app = startPreloaded({ app: APP, args: [act], node: node.path, sink, env })
      expect(await drive(app)).toEqual(plain.how)
      expect(frames(app.stderr)).toBe(frames(plain.stderr))
      expect(of(sink, '/done')!.status.code).toBe('unset')
      for (const path of ['/act', '/bystander'])
        expect(of(sink, path)!.attributes['afterspan.http.aborted_by']).toBe('server')
      await sink.close()
    },
  )

  test('a crash that no request is guilty of has a span of its own', async () => {
    const sink = await startOtlpSink()
    const app = startPreloaded({ app: APP, args: ['background'], node: node.path, sink, env })
    const url = await listening(app)
    await get(`${url}/act`)
    expect(await app.exit).toEqual({ code: 1, signal: null })
    const crash = sink.spans().find(({ name }) => name === 'uncaughtException')!
    expect(crash.events.map(({ attributes }) => attributes['exception.message'])).toEqual(['in the background'])
    expect(crash.status).toEqual({ code: 'error', message: 'in the background' })
    await sink.close()
  })

  test.each(['rejection', 'timer'])(
    'an app that logs an uncaught error (%s) and exits has its guilty request named',
    async (act) => {
      const sink = await startOtlpSink()
      const own = { ...env, OWN_HANDLER: 'log and exit' }
      const app = startPreloaded({ app: APP, args: [act], node: node.path, sink, env: own })
      expect(await drive(app)).toEqual({ code: 42, signal: null })
      expect(app.stderr).toBe('')
      const culprit = of(sink, '/act')!
      expect(culprit.attributes).toMatchObject({ 'afterspan.crash.role': 'culprit', 'error.type': 'RangeError' })
      expect(of(sink, '/bystander')!.links.map((link) => link.spanId)).toEqual([culprit.spanId])
      await sink.close()
    },
  )

  test.each(['throw the reason', 'throw another error', 'exit at once', 'exit soon'])(
    'an app whose handler for rejections ends it (%s) had no guilty request, or called it aborted',
    async (handler) => {
      const own = { ...env, OWN_HANDLER: handler }
      const plain = runApp({ args: [APP, 'async'], node: node.path, env: own })
      const how = await drive(plain)
      const sink = await startOtlpSink()
      const app = startPreloaded({ app: APP, args: ['async'], node: node.path, sink, env: own })
      expect(await drive(app)).toEqual(how)
      expect(frames(app.stderr)).toBe(frames(plain.stderr))
      const culprit = of(sink, '/act')!
      expect(culprit.attributes).toMatchObject({ 'afterspan.crash.role': 'culprit', 'error.type': 'RangeError' })
      expect(culprit.events).toHaveLength(1)
      const bystander = of(sink, '/bystander')!
      expect(bystander.attributes['afterspan.crash.role']).toBe('bystander')
      expect(bystander.links.map((link) => link.spanId)).toEqual([culprit.spanId])
      await sink.close()
    },
  )

  test.each(['rejection', 'timer'])(
    'an app whose handler of an uncaught error (%s) throws itself lost what was in flight, and what was done',
    async (act) => {
      const own = { ...env, OWN_HANDLER: 'throws itself' }
      const plain = runApp({ args: [APP, act], node: node.path, env: own })
      const how = await drive(plain)
      expect(how).toEqual({ code: 7, signal: null })
      const sink = await startOtlpSink()
      const app = startPreloaded({ app: APP, args: [act], node: node.path, sink, env: own })
      expect(await drive(app)).toEqual(how)
      expect(app.stderr).toBe(plain.stderr)
      const culprit = of(sink, '/act')!
      expect(culprit.attributes).toMatchObject({ 'afterspan.crash.role': 'culprit', 'error.type': 'RangeError' })
      expect(of(sink, '/bystander')!.links.map((link) => link.spanId)).toEqual([culprit.spanId])
      expect(of(sink, '/done')).toBeDefined()
      await sink.close()
    },
  )

  test.each(['strict', 'throw', 'warn', 'none'])(
    '--unhandled-rejections=%s means what it means without us',
    async (mode) => {
      const end = mode === 'strict' || mode === 'throw'
      const flags = [`--unhandled-rejections=${mode}`]
      const go = async (app: RunningApp): Promise<AppExit> => {
        if (end) return drive(app)
        const url = await listening(app)
        get(`${url}/act`).catch(() => {})
        if (mode === 'warn') await app.waitForLine(/UnhandledPromiseRejectionWarning: Unhandled promise rejection/)
        await get(`${url}/done`)
        return app.stop()
      }
      const plain = runApp({ args: [...flags, APP, 'rejection'], node: node.path })
      const how = await go(plain)
      const sink = await startOtlpSink()
      const app = startPreloaded({
        app: APP,
        args: ['rejection'],
        node: node.path,
        sink,
        env: { ...env, NODE_OPTIONS: flags.join(' ') },
      })
      expect(await go(app)).toEqual(how)
      const text = (stderr: string): string => frames(stderr).replaceAll(/\(node:\d+\)/g, '(node:0)')
      expect(text(app.stderr)).toBe(text(plain.stderr))
      expect(of(sink, '/act')?.attributes['afterspan.crash.role']).toBe(end ? 'culprit' : undefined)
      await sink.close()
    },
  )

  test.each(['kill', 'abort', 'heap'])(
    'after %s the next process on the folder tells what was finished and what was in flight',
    async (act) => {
      const sink = await startOtlpSink()
      const small = act === 'heap' ? { NODE_OPTIONS: '--max-old-space-size=60' } : {}
      const app = startPreloaded({ app: APP, args: [act], node: node.path, sink, env: { ...env, ...small } })
      const how = await drive(app)
      expect(how.signal).toBe(act === 'kill' ? 'SIGKILL' : 'SIGABRT')
      const next = startPreloaded({ app: APP, args: ['none'], node: node.path, sink, ledgerDir: app.ledgerDir })
      await get(`${await listening(next)}/livez`)
      await sink.waitFor(() => ['/done', '/act', '/bystander'].every((path) => of(sink, path) !== undefined))
      expect(of(sink, '/done')!.status.code).toBe('unset')
      for (const path of ['/act', '/bystander'])
        expect(of(sink, path)!.attributes).toMatchObject({
          'afterspan.http.aborted_by': 'crash',
          'error.type': 'process_killed',
        })
      await next.stop()
      await sink.close()
    },
  )

  test.each(
    Object.entries({
      uncaughtException: 'timer',
      unhandledRejection: 'rejection',
      capture: 'timer',
      domain: 'domain',
    }),
  )('an app that handles errors itself (%s) goes on', async (own, act) => {
    const sink = await startOtlpSink()
    const app = startPreloaded({ app: APP, args: [act], node: node.path, sink, env: { OWN_HANDLER: own } })
    const url = await listening(app)
    get(`${url}/act`).catch(() => {})
    await app.waitForLine(/^handled /)
    expect((await get(`${url}/done`)).status).toBe(200)
    expect(app.stderr).toBe('')
    await app.stop()
    await sink.close()
  })

  test('an app that handles SIGTERM itself ends in its own way', async () => {
    const sink = await startOtlpSink()
    const app = startPreloaded({
      app: APP,
      args: ['sigterm'],
      node: node.path,
      sink,
      env: { ...env, OWN_HANDLER: 'SIGTERM' },
    })
    expect(await drive(app)).toEqual({ code: 0, signal: null })
    expect(app.stdout).toContain('handled SIGTERM')
    expect(of(sink, '/done')).toBeDefined()
    await sink.close()
  })
})

test('a collector that hangs does not hold an exit for half a second', async () => {
  const sink = await startOtlpSink({ answer: () => ({ status: 200, delayMs: Infinity }) })
  const app = startPreloaded({ app: APP, args: ['exit'], sink })
  const url = await listening(app)
  await get(`${url}/done`)
  const from = performance.now()
  get(`${url}/act`).catch(() => {})
  expect(await app.exit).toEqual({ code: 3, signal: null })
  expect(performance.now() - from).toBeLessThan(1_500)
  await sink.close()
})
