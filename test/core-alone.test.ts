// @afterspan/core without the rest has no journal and no patrol, and with AFTERSPAN_PATROL=off nobody patrols: what no collector took
// is left to the next process.
import { existsSync, readdirSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  get,
  nodesUnderTest,
  pollUntil,
  repositoryRoot,
  startPreloaded,
  tempDir,
  type PreloadedApp,
  type PreloadedOptions,
} from '@afterspan/testing'
import { startOtlpSink, type OtlpSink, type SinkAnswer } from 'afterspan/internal'
import { describe, expect, test } from 'vitest'
import { appFile, listening } from './app.ts'

const FAST = { OTEL_BSP_SCHEDULE_DELAY: '20', OTEL_EXPORTER_OTLP_TIMEOUT: '300' }

function start(options: Omit<PreloadedOptions, 'app' | 'register'>): PreloadedApp {
  return startPreloaded({
    app: appFile('export.cjs'),
    register: join(repositoryRoot(), 'packages/core/dist/register.js'),
    ...options,
  })
}
function pathsIn(sink: OtlpSink): string[] {
  return sink.spans().map(({ attributes }) => attributes['url.path'] as string)
}
async function ask(app: PreloadedApp, paths: readonly string[]): Promise<void> {
  const url = await listening(app)
  for (const path of paths) await get(url + path)
}
async function end(app: PreloadedApp): Promise<void> {
  app.signal('SIGTERM')
  expect(await app.exit).toEqual({ code: null, signal: 'SIGTERM' })
}

describe.each(nodesUnderTest())('on Node $major', ({ path: node }) => {
  test('a process that ended while the collector was unwell lost its spans: the next one brings them', async () => {
    let isUnwell = true
    const sink = await startOtlpSink({ answer: () => (isUnwell ? { status: 503 } : undefined) })
    const app = start({ node, sink, env: FAST })
    await ask(app, ['/ok', '/fail'])
    await end(app)
    isUnwell = false
    const next = start({ node, sink, ledgerDir: app.ledgerDir, env: FAST })
    await ask(next, ['/next'])
    await sink.waitFor(() => ['/ok', '/fail', '/next'].every((path) => pathsIn(sink).includes(path)))
    // The folder of the collector alone: the answer has been heard.
    await pollUntil(() => readdirSync(join(app.ledgerDir, 'undelivered'), { recursive: true }).length === 1)
    await end(next)
    expect(pathsIn(sink).sort()).toEqual(['/fail', '/next', '/ok'])
    await sink.close()
  })

  test('processes that end before their first export bring along what others have left', async () => {
    let isUnwell = true
    const sink = await startOtlpSink({ answer: () => (isUnwell ? { status: 503 } : undefined) })
    const env = { AFTERSPAN_EXIT_HOLD_MS: '10000', OTEL_BSP_SCHEDULE_DELAY: '60000' }
    const first = start({ node, sink, env })
    await ask(first, ['/first'])
    await end(first)
    isUnwell = false
    const second = start({ node, sink, ledgerDir: first.ledgerDir, env })
    await ask(second, ['/second'])
    await end(second)
    await sink.waitFor((spans) => spans.length === 2)
    expect(pathsIn(sink).sort()).toEqual(['/first', '/second'])
    await sink.close()
  })
})

test('a collector that is unwell, with a queue that is too small for it all: everything arrives when it is well', async () => {
  let isUnwell = true
  const sink = await startOtlpSink({ answer: () => (isUnwell ? { status: 503 } : undefined) })
  const app = start({
    sink,
    env: { ...FAST, OTEL_BSP_MAX_QUEUE_SIZE: '20', OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '5' },
  })
  const paths = Array.from({ length: 60 }, (_, n) => (n % 10 === 0 ? `/fail${n}` : `/ok${n}`))
  await ask(app, paths)
  expect(existsSync(join(app.ledgerDir, 'undelivered'))).toBe(true)
  isUnwell = false
  await sink.waitFor(() => paths.every((path) => pathsIn(sink).includes(path)), 45_000)
  expect(pathsIn(sink).sort()).toEqual(paths.sort())
  await end(app)
  await sink.close()
})

test('with AFTERSPAN_PATROL=off too the next process brings the spans of one that ended while the collector was unwell', async () => {
  let isUnwell = true
  const sink = await startOtlpSink({ answer: () => (isUnwell ? { status: 503 } : undefined) })
  const env = { ...FAST, AFTERSPAN_PATROL: 'off' }
  const app = startPreloaded({ app: appFile('export.cjs'), sink, env })
  await ask(app, ['/ok'])
  await end(app)
  isUnwell = false
  const next = startPreloaded({ app: appFile('export.cjs'), sink, ledgerDir: app.ledgerDir, env })
  await ask(next, ['/next'])
  await sink.waitFor((spans) => spans.length === 2)
  expect(pathsIn(sink).sort()).toEqual(['/next', '/ok'])
  await end(next)
  await sink.close()
})

test('what others have left is too large for the collector now (413): it arrives in parts', async () => {
  let isUnwell = true
  const answer = ({ spans }: { readonly spans: readonly unknown[] }): SinkAnswer | undefined => {
    if (isUnwell) return { status: 503 }
    return spans.length > 3 ? { status: 413 } : undefined
  }
  const sink = await startOtlpSink({ answer })
  const app = start({ sink, env: { ...FAST, OTEL_BSP_SCHEDULE_DELAY: '60000' } })
  const paths = Array.from({ length: 10 }, (_, n) => `/ok${n}`)
  await ask(app, paths)
  await end(app)
  isUnwell = false
  const next = start({ sink, ledgerDir: app.ledgerDir, env: FAST })
  await ask(next, ['/next'])
  await sink.waitFor((spans) => spans.length === 11)
  expect(pathsIn(sink).sort()).toEqual(['/next', ...paths].sort())
  await end(next)
  await sink.close()
})

test.each(['others', 'errors'])('a spool that was full of %s cost spans, and nothing was said of it', async (kind) => {
  const sink = await startOtlpSink({ answer: () => ({ status: 503 }) })
  const env = { ...FAST, AFTERSPAN_SPOOL_MB: '1' }
  const first = start({ sink, env })
  await ask(first, ['/ok'])
  await end(first)
  expect(first.stderr).not.toContain('the spool on disk is full')
  const [collector] = readdirSync(join(first.ledgerDir, 'undelivered'))
  const folder = join(first.ledgerDir, 'undelivered', collector!)
  for (const file of readdirSync(folder)) unlinkSync(join(folder, file))
  writeFileSync(join(folder, `x.0.7.${kind}.otlp`), Buffer.alloc(1024 * 1024 + 1))
  const next = start({ sink, ledgerDir: first.ledgerDir, env })
  await ask(next, ['/next'])
  await end(next)
  expect(next.stderr).toMatch(/AFS_EXPORT_FAILED the spool on disk is full/)
  await sink.close()
})

test('spans for one collector are not sent to another', async () => {
  const unwell = await startOtlpSink({ answer: () => ({ status: 503 }) })
  const app = start({ sink: unwell, env: FAST })
  await ask(app, ['/ok'])
  await end(app)
  const other = await startOtlpSink()
  const next = start({ sink: other, ledgerDir: app.ledgerDir, env: FAST })
  await ask(next, ['/next'])
  await other.waitFor((spans) => spans.length === 1)
  await end(next)
  expect(pathsIn(other)).toEqual(['/next'])
  await unwell.close()
  await other.close()
})

test('where there is no folder, nothing but the trouble with the collector is said, and the end is as ever', async () => {
  const sink = await startOtlpSink({ answer: () => ({ status: 503 }) })
  const file = join(tempDir('no-folder'), 'file')
  writeFileSync(file, '')
  const app = start({ sink, ledgerDir: join(file, 'state'), env: FAST })
  await ask(app, ['/ok'])
  await app.waitForLine(/AFS_EXPORT_FAILED/)
  await end(app)
  expect(app.stderr.trim().split('\n')).toHaveLength(1)
  await sink.close()
})
