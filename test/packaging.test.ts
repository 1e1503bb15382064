import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { get, nodesUnderTest, repositoryRoot, startPreloaded, tempDir } from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { beforeAll, describe, expect, test } from 'vitest'
import { listening, traceIdOf } from './app.ts'

const PACKAGES = ['core', 'health', 'async-tracker', 'afterspan']
const PNPM = ['-y', 'pnpm@12.21.0']
const run = promisify(execFile)

/** Tarballs as they would be published, by package name. */
let tarballs: Readonly<Record<string, string>>
beforeAll(async () => {
  const folder = tempDir('tarballs')
  const packed: Record<string, string> = {}
  for (const name of PACKAGES) {
    await run('npx', [...PNPM, 'pack', '--pack-destination', folder], { cwd: join(repositoryRoot(), 'packages', name) })
    const prefix = name === 'afterspan' ? 'afterspan-0' : `afterspan-${name}-`
    packed[name === 'afterspan' ? name : `@afterspan/${name}`] = join(
      folder,
      readdirSync(folder).find((file) => file.startsWith(prefix))!,
    )
  }
  tarballs = packed
})

interface Installer {
  readonly name: string
  install(folder: string): Promise<unknown>
}
const INSTALLERS: readonly Installer[] = [
  {
    name: 'npm',
    install(folder) {
      writeApp(folder, tarballs)
      return run('npm', ['install', '--no-audit', '--no-fund'], { cwd: folder })
    },
  },
  {
    name: 'pnpm, where only direct dependencies resolve,',
    install(folder) {
      writeApp(folder, { afterspan: tarballs['afterspan']! })
      const overrides = Object.entries(tarballs).map(([name, file]) => `  '${name}': file:${file}`)
      writeFileSync(join(folder, 'pnpm-workspace.yaml'), `overrides:\n${overrides.join('\n')}\n`)
      return run('npx', [...PNPM, 'install', '--ignore-workspace=false'], { cwd: folder })
    },
  },
]

function writeApp(folder: string, files: Readonly<Record<string, string>>): void {
  const dependencies = Object.fromEntries(Object.entries(files).map(([name, file]) => [name, `file:${file}`]))
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ name: 'consumer', private: true, dependencies: { ...dependencies, express: '5.3.0' } }),
  )
  const body = `const app = express(); app.get('/hello/:name', (req, res) => { res.json({ preloaded: typeof runTask }) }); const server = app.listen(0, '127.0.0.1', () => console.log('listening ' + server.address().port))`
  writeFileSync(
    join(folder, 'app.cjs'),
    `const express = require('express'); const { runTask } = require('afterspan'); ${body}`,
  )
  writeFileSync(join(folder, 'app.mjs'), `import express from 'express'; import { runTask } from 'afterspan'; ${body}`)
}

/** What README and docs/ show of the API. */
const TYPED = `
import { createServer } from 'node:http'
import { AfterspanError, health, httpProbe, metricsHandler, onReport, openTask, registerProbe, runTask, safeHandler, tasks, track } from 'afterspan'
import type { HealthChange, Incident, ProbeResult, Receipt, TaskRecord } from 'afterspan'

declare const mailer: { send(mail: string): Promise<{ readonly id: number }> }
createServer(metricsHandler())
createServer(safeHandler(async (request, response) => { response.end(request.url) }))
const sent: Promise<{ readonly id: number }> = track('send receipt', () => mailer.send('mail'), { deadlineMs: 30_000 })
const size: Promise<number> = runTask('import', async ({ signal, heartbeat }) => { heartbeat(0.5); return signal.aborted ? 0 : 1 })
const task = openTask('import orders', { deadlineMs: 60_000, attributes: { source: 'csv' } })
task.run(() => 1)
task.succeed()
const end: () => void = onReport(({ kind, trace, route, failure }: Incident) => { console.log(kind, trace?.traceId, route, failure?.message) })
const back: () => void = registerProbe({ name: 'search', component: 'elasticsearch', async check(signal: AbortSignal): Promise<ProbeResult> { return { status: signal.aborted ? 'fail' : 'pass' } } })
registerProbe(httpProbe({ name: 'payments', url: 'https://payments.internal/health', json: { status: 'up' }, slowMs: 500, certificateDays: 14, redirects: 1 }))
health.group('checkout', ['postgresql', 'redis'])
health.onChange(({ name, to, code }: HealthChange) => { console.log(name, to, code) })
const loop = health.heartbeat('mailer', { everyMs: 30_000 })
loop.beat()
loop.stop()
tasks.receipt('4bf92f3577b34da6a3ce929d0e0e4736').then(({ verdict, tasks: rows }: Receipt) => {
  const words: 'kept' | 'broken' | 'open' | 'promised_nothing' | 'unknown' = verdict
  const all: readonly TaskRecord[] = rows
  console.log(words, all.length)
}, (error: unknown) => { console.log(error instanceof AfterspanError && error.code) })
console.log(sent, size, end, back)
`

describe.each(INSTALLERS)('packed and installed by $name afterspan', ({ install }) => {
  let folder: string
  beforeAll(async () => {
    folder = join(tempDir('consumer'), 'app')
    mkdirSync(folder)
    await install(folder)
  })

  test.each(
    nodesUnderTest().flatMap((node) => ['app.cjs', 'app.mjs'].map((app) => ({ node, app, major: node.major }))),
  )('is preloaded by its name into $app on Node $major', async ({ node, app }) => {
    const sink = await startOtlpSink()
    const service = startPreloaded({
      app: join(folder, app),
      cwd: folder,
      node: node.path,
      register: 'afterspan/register',
      sink,
    })
    const url = await listening(service)
    const reply = await get(`${url}/hello/world`)
    expect(JSON.parse(reply.text)).toEqual({ preloaded: 'function' })
    const traceId = traceIdOf(reply)
    await sink.waitFor(() => sink.trace(traceId).length > 0)
    expect(sink.trace(traceId)[0]!.name).toBe('GET /hello/:name')
    expect((await get(`${await service.adminUrl()}/readyz`)).status).toBe(200)
    expect(service.stderr).toBe('')
    await service.stop()
    await sink.close()
  })

  test.each(
    [
      ['nodenext', 'nodenext'],
      ['node16', 'node16'],
      ['preserve', 'bundler'],
    ].flatMap(([module, resolution]) => ['cts', 'mts'].map((ending) => ({ module, resolution, ending }))),
  )('has types that a strict program checks: .$ending, $resolution', async ({ module, resolution, ending }) => {
    const file = join(folder, `api.${ending}`)
    writeFileSync(file, TYPED)
    const types = join(repositoryRoot(), 'node_modules/@types')
    const asked = ['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--target', 'es2022', '--lib', 'esnext']
    const found = ['--module', module!, '--moduleResolution', resolution!, '--typeRoots', types, '--types', 'node']
    const said = await run(join(repositoryRoot(), 'node_modules/.bin/tsc'), [...asked, ...found, file], {
      cwd: folder,
    }).catch((error: { readonly stdout: string }) => error)
    expect(said.stdout).toBe('')
  })

  test('has its command line', async () => {
    const { stdout } = await run(nodesUnderTest().at(-1)!.path, [
      join(folder, 'node_modules/afterspan/bin/afterspan.js'),
      '--version',
    ])
    expect(stdout).toBe('0.1.0\n')
  })
})

test('a package holds what it needs and nothing else', async () => {
  for (const file of Object.values(tarballs)) {
    const { stdout } = await run('tar', ['-tzf', file])
    const strange = stdout
      .trim()
      .split('\n')
      .filter(
        (path) => !/^package\/(package\.json|LICENSE|README\.md|bin\/afterspan\.js|dist\/.*\.(js|d\.ts))$/.test(path),
      )
    expect(strange).toEqual([])
  }
})
