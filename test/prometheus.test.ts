import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import {
  get,
  pollUntil,
  present,
  repositoryRoot,
  service,
  startPreloaded,
  type MissingServer,
  type ServerOf,
} from '@afterspan/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { appFile, listening } from './app.ts'

const run = promisify(execFile)

let prometheus: ServerOf['prometheus'] | MissingServer
let app: ReturnType<typeof startPreloaded>
let admin: string
beforeAll(async () => {
  app = startPreloaded({ app: appFile('express.cjs') })
  await listening(app).then((url) => get(`${url}/api/a/orders/1`))
  admin = await app.adminUrl()
  prometheus = await service('prometheus', { targets: [new URL(admin).host] })
})
afterAll(async () => {
  await app.stop()
  if (!('missing' in prometheus)) await prometheus.stop()
})

test('a real Prometheus scrapes it and finds the numbers', async (context) => {
  const { url } = present(prometheus, context)
  const query = encodeURIComponent('http_server_request_duration_seconds_count{http_route="/api/:tenant/orders/:id"}')
  const value = await pollUntil(async () => {
    const { data } = JSON.parse((await get(`${url}/api/v1/query?query=${query}`)).text) as {
      data: { result: { value: [number, string] }[] }
    }
    return data.result[0]?.value[1]
  })
  expect(value).toBe('1')
})

test('promtool finds nothing wrong with the text format', async (context) => {
  const found = present(prometheus, context)
  const { text, headers } = await get(`${admin}/metrics`, { headers: { accept: 'text/plain;version=0.0.4' } })
  expect(headers['content-type']).toContain('text/plain')
  const child = execFile(found.promtool, ['check', 'metrics'])
  child.stdin!.end(text)
  let output = ''
  for (const stream of [child.stdout!, child.stderr!])
    stream.on('data', (chunk: string) => {
      output += chunk
    })
  const code = await new Promise((resolve) => child.once('close', resolve))
  expect({ code, output }).toEqual({ code: 0, output: '' })
})

test('OpenMetrics has its end', async () => {
  const { text, headers } = await get(`${admin}/metrics`, { headers: { accept: 'application/openmetrics-text' } })
  expect(headers['content-type']).toContain('application/openmetrics-text')
  expect(text.endsWith('# EOF\n')).toBe(true)
})

test('the alert rules hold what their tests say', async (context) => {
  const { promtool } = present(prometheus, context)
  const { stdout } = await run(promtool, ['test', 'rules', 'afterspan.rules.test.yml'], {
    cwd: join(repositoryRoot(), 'docs/prometheus'),
  })
  expect(stdout).toContain('SUCCESS')
})
