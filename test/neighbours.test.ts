// Who else is in the process: another SDK, another copy of the API, another agent, or modules that were there first.
import { cpSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { bothFormats, get, nodesUnderTest, registerPath, startPreloaded, tempDir } from '@afterspan/testing'
import { startOtlpSink } from 'afterspan/internal'
import { describe, expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'

const neighbour = (name: string): string => appFile(join('neighbours', name))

bothFormats(
  'an app that starts NodeSDK itself is told so, and is traced by one of the two',
  { cjs: neighbour('second-sdk.cjs'), mjs: neighbour('second-sdk.mjs') },
  async ({ app, node }) => {
    const sink = await startOtlpSink()
    const service = startPreloaded({ app, node: node.path, sink, env: { OTEL_METRICS_EXPORTER: 'prometheus' } })
    const traceId = traceIdOf(await get(`${await listening(service)}/api/a/orders/1`))
    await sink.waitFor((spans) => spans.some((span) => span.traceId === traceId))
    expect(sink.trace(traceId).map(({ name }) => name)).toEqual(['GET /api/:tenant/orders/:id'])
    expect(service.stderr).toMatch(
      /^\[afterspan\] AFS_SECOND_SDK another OpenTelemetry SDK \(started by .*second-sdk\.[cm]js\).*\n$/,
    )
    await service.stop()
    await sink.close()
  },
)

describe.each(nodesUnderTest())('on Node $major', ({ path }) => {
  test('spans and metrics by an older copy of the API are recorded, and nothing is said', async () => {
    const sink = await startOtlpSink()
    const service = startPreloaded({ app: neighbour('older-api.cjs'), node: path, sink })
    const { text: traceId } = await get(await listening(service))
    await sink.waitFor((spans) => spans.filter((span) => span.traceId === traceId).length === 2)
    expect(
      sink
        .trace(traceId)
        .map(({ name }) => name)
        .sort(),
    ).toEqual(['GET', 'own'])
    expect((await get(`${await service.adminUrl()}/metrics`)).text).toMatch(/^app_asked_total.* 1$/m)
    expect(service.stderr).toBe('')
    await service.stop()
    await sink.close()
  })
})

test('an older API that registered itself first is named with its version', async () => {
  const service = startPreloaded(before(neighbour('api-first.cjs')))
  expect((await get(`${await listening(service)}/api/a/orders/1`)).status).toBe(200)
  await service.stop()
  expect(service.stderr).toMatch(
    /^\[afterspan\] AFS_API_TAKEN .* belong to @opentelemetry\/api 1\.9\.0, loaded first.*\n$/,
  )
})

test.each(['1.99.0', '2.0.0'])(
  'a copy of the API that cannot reach ours (%s) is named, and requests are traced',
  async (version) => {
    const app = withApi(version)
    const sink = await startOtlpSink()
    const service = startPreloaded({ app, sink })
    await get(await listening(service))
    await sink.waitFor((spans) => spans.length > 0)
    expect(service.stderr).toContain(`AFS_API_MISMATCH the app's @opentelemetry/api ${version} cannot reach`)
    await service.stop()
    await sink.close()
  },
)

test.each([
  { name: 'dd-trace', load: `require('dd-trace/init')` },
  { name: 'newrelic', load: `require('newrelic')` },
  { name: '@elastic/opentelemetry-node', load: `import('@elastic/opentelemetry-node/import.mjs')` },
])('an agent beside us is named: $name', async ({ name, load }) => {
  const folder = tempDir('agent')
  for (const file of ['index.js', 'init.js', 'import.mjs']) {
    mkdirSync(join(folder, 'node_modules', name), { recursive: true })
    writeFileSync(join(folder, 'node_modules', name, file), '')
  }
  writeFileSync(join(folder, 'app.cjs'), load)
  const service = startPreloaded({ app: join(folder, 'app.cjs') })
  await service.exit
  expect(service.stderr).toMatch(new RegExp(`^\\[afterspan\\] AFS_NEIGHBOUR ${name} is loaded too.*\\n$`))
})

test('what was loaded before the preload is named, and shown in the metrics', async () => {
  const service = startPreloaded(before(neighbour('express-first.cjs')))
  expect((await get(`${await listening(service)}/api/a/orders/1`)).status).toBe(200)
  const { text } = await get(`${await service.adminUrl()}/metrics`)
  expect(text).toMatch(/^afterspan_instrumentation\{module="express",state="loaded_too_early",version="5[^"]*"\} 1$/m)
  await service.stop()
  expect(service.stderr).toMatch(/^\[afterspan\] AFS_LOADED_TOO_EARLY express, .*: loaded before Afterspan.*\n$/)
})

test.each(['cjs', 'mjs'])('a version that nobody has tested is said with the range (%s)', async (format) => {
  const folder = tempDir('old-pg')
  mkdirSync(join(folder, 'node_modules/pg'), { recursive: true })
  writeFileSync(
    join(folder, 'node_modules/pg/package.json'),
    '{ "name": "pg", "version": "5.1.0", "main": "index.js" }',
  )
  writeFileSync(join(folder, 'node_modules/pg/index.js'), 'exports.Client = class Client {}')
  writeFileSync(join(folder, 'app.cjs'), `require('pg')`)
  writeFileSync(join(folder, 'app.mjs'), `import 'pg'`)
  const service = startPreloaded({ app: join(folder, `app.${format}`) })
  expect(await service.exit).toEqual({ code: 0, signal: null })
  const line = (by: string): unknown =>
    expect.stringMatching(
      `^\\[afterspan\\] AFS_HOOK_UNSUPPORTED pg 5\\.1\\.0 is outside of what was tested \\(>=8\\S* <9\\) and is left alone by ${by}\\.$`,
    )
  // Spans and health have ranges of their own.
  expect(service.stderr.trimEnd().split('\n').sort()).toEqual([line('pg \\(health\\)'), line('pg')])
})

/** An app with another preload before ours. */
function before(register: string): {
  readonly app: string
  readonly args: readonly string[]
  readonly register: string
} {
  return { register, app: '--require', args: [registerPath(), appFile('express.cjs')] }
}

/** An app with a copy of the API that calls itself by another version. */
function withApi(version: string): string {
  const folder = tempDir('api')
  const from = realpathSync(join(createRequire(appFile('x.cjs')).resolve('@opentelemetry/api'), '../..'))
  const to = join(folder, 'node_modules/@opentelemetry/api')
  cpSync(from, to, { recursive: true })
  const file = join(to, 'package.json')
  writeFileSync(file, readFileSync(file, 'utf8').replace('"version": "1.10.0"', `"version": "${version}"`))
  const app = join(folder, 'app.cjs')
  writeFileSync(app, `require('@opentelemetry/api'); require(${JSON.stringify(appFile('express.cjs'))})`)
  return app
}
