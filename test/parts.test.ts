// The parts of one service: worker threads, forked processes, cluster workers. docs/loading.md says what each of them does.
import { get, nodesUnderTest, pollUntil, runApp, startPreloaded, tempDir, type PreloadedApp } from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { describe, expect, test } from 'vitest'
import { appFile } from './app.ts'

/** The addresses of the process and its two parts. */
function addresses(app: PreloadedApp): Promise<readonly string[]> {
  return pollUntil(() => {
    const ports = [...app.stdout.matchAll(/^listening (\d+)$/gm)].map(([, port]) => `http://127.0.0.1:${port}`)
    return ports.length === 3 ? ports : undefined
  })
}

describe.each(nodesUnderTest())('on Node $major', ({ path }) => {
  test.each([
    { mode: 'threads', processes: 1 },
    { mode: 'fork', processes: 3 },
    { mode: 'cluster', processes: 3 },
  ])(
    '$mode: each part tells its own spans, $processes instance(s) of the service; one that ends tells its last',
    async ({ mode, processes }) => {
      const sink = await startOtlpSink()
      const app = startPreloaded({
        app: appFile('parts/parts.cjs'),
        node: path,
        sink,
        env: { MODE: mode, AFTERSPAN_EXIT_HOLD_MS: '10000' },
      })
      const urls = await addresses(app)
      const answers = await Promise.all(urls.map((url) => get(`${url}/one`)))
      const parts = answers.map(({ text }) => text)
      expect(new Set(parts).size).toBe(3)
      // The parts end by themselves, at once: no batch is waited for.
      const ended = parts.flatMap((part, i) => (part === `${app.pid}.0` ? [] : [urls[i]!]))
      for (const url of ended) await get(`${url}/end`)
      await sink.waitFor((spans) => spans.length === 5)

      const resources = sink.spans().map(({ resource }) => resource)
      const distinct = (name: string): number => new Set(resources.map((resource) => resource[name])).size
      expect([distinct('process.pid'), distinct('service.instance.id'), distinct('service.name')]).toEqual([
        processes,
        processes,
        1,
      ])
      expect(sink.spans().filter(({ attributes }) => attributes['url.path'] === '/end')).toHaveLength(2)
      expect(app.stderr).toBe('')
      await app.stop()
      await sink.close()
    },
  )
})

test('a fork with the flag and NODE_OPTIONS both, and a thread without environment, say nothing and are watched once', async () => {
  const preloaded = startPreloaded({
    app: '-e',
    args: [
      `const { Worker } = require('worker_threads')
       const said = "console.log('watched', Boolean(globalThis[Symbol.for('afterspan/1')]?.booted))"
       new Worker(said, { eval: true, env: {} }).on('exit', () => new Worker(said, { eval: true, execArgv: [] }))`,
    ],
    preload: 'NODE_OPTIONS',
  })
  await preloaded.exit
  expect([preloaded.stdout, preloaded.stderr]).toEqual(['watched false\nwatched true\n', ''])

  const byFlag = startPreloaded({
    app: '-e',
    args: [
      `const { Worker } = require('worker_threads')
       const said = "console.log('watched', Boolean(globalThis[Symbol.for('afterspan/1')]?.booted))"
       new Worker(said, { eval: true, env: {} })`,
    ],
  })
  await byFlag.exit
  expect([byFlag.stdout, byFlag.stderr]).toEqual(['watched true\n', ''])
})

test('worker threads that come and go leave no file descriptors behind', async () => {
  const script = `
    const { Worker } = require('worker_threads')
    const { readdirSync } = require('fs')
    const part = "const h = require('http'); const s = h.createServer((q, r) => r.end()).listen(0, () => h.get({ port: s.address().port }, (r) => r.resume().on('end', () => require('worker_threads').parentPort.postMessage('done'))))"
    const one = () => new Promise((done) => {
      const worker = new Worker(part, { eval: true })
      worker.on('message', () => worker.terminate())
      worker.on('exit', done)
    })
    const run = async () => {
      await one(); await one()
      const before = readdirSync('/proc/self/fd').length
      for (let i = 0; i < 8; i++) await one()
      console.log('more', readdirSync('/proc/self/fd').length - before)
      process.exit(0)
    }
    run()`
  const bare = runApp({ args: ['-e', script] })
  const app = startPreloaded({ app: '-e', args: [script], ledgerDir: tempDir('ledger') })
  expect(await app.exit).toEqual(await bare.exit)
  const more = Number(/^more (-?\d+)$/m.exec(app.stdout)?.[1])
  expect(more).toBeLessThan(8) // the side thread may have started meanwhile; it is one
  expect(app.stderr).toBe('')
})
