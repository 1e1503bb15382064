// The process ends while an export is under way: nothing is heard of the answer any more, and it is there all the same.
import { writeFileSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { get, nodesUnderTest, repositoryRoot, startPreloaded, tempDir } from '@afterspan/testing'
import { describe, expect, test } from 'vitest'
import { appFile, listening } from './app.ts'

const ALL = join(repositoryRoot(), 'packages/afterspan/dist/register.js')
const CORE = join(repositoryRoot(), 'packages/core/dist/register.js')
const EXITED = { code: 3, signal: null }
const CRASHED = { code: 1, signal: null }

/** Takes everything at once, but for the first export: whose answer is for the test to give. */
async function startCollector() {
  const bodies: Buffer[] = []
  let came: (response: ServerResponse) => void = () => {}
  const first = new Promise<ServerResponse>((resolve) => (came = resolve))
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      response.setHeader('content-type', request.headers['content-type']!)
      if (bodies.push(Buffer.concat(chunks)) === 1) came(response)
      else response.end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    first,
    exportsWith: (text: string) => bodies.filter((body) => body.includes(text)).length,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Ends in this way while the answer to the export of '/ok' waits to be read; what the collector got then. */
async function endWith(
  way: string,
  answer: (response: ServerResponse) => ServerResponse,
  { register, node, protocol }: { readonly register: string; readonly node?: string; readonly protocol: string },
) {
  const collector = await startCollector()
  const mayEnd = join(tempDir('at-the-end'), 'may-end')
  const app = startPreloaded({
    app: appFile('ends-after-export.cjs'),
    args: [mayEnd],
    register,
    ...(node === undefined ? {} : { node }),
    sink: collector,
    env: { OTEL_BSP_SCHEDULE_DELAY: '20', OTEL_EXPORTER_OTLP_PROTOCOL: protocol, AFTERSPAN_EXIT_HOLD_MS: '10000' },
  })
  const url = await listening(app)
  await get(`${url}/ok`)
  const response = await collector.first
  const ending = get(url + way).catch(String)
  await app.waitForLine(/^ending$/)
  await new Promise<void>((resolve) => answer(response).end(resolve))
  writeFileSync(mayEnd, '')
  expect(await ending).toMatch(/hang up|reset/)
  const got = { exit: await app.exit, ok: collector.exportsWith('/ok'), own: collector.exportsWith(way) }
  await collector.close()
  return got
}

describe.each(nodesUnderTest())('on Node $major', ({ path: node }) => {
  test.each([
    ['/exit', EXITED, 'http/protobuf', ALL],
    ['/crash', CRASHED, 'http/protobuf', CORE],
    ['/exit', EXITED, 'http/json', CORE],
  ])('%s: a collector that had taken the export under way got it again (%#)', async (way, exit, protocol, register) => {
    const taken = await endWith(way, (response) => response, { register, node, protocol })
    expect(taken).toEqual({ exit, ok: 1, own: 1 })
  })
})

test.each([
  ['refuses it', (response: ServerResponse) => response.writeHead(503)],
  ['answers with a page for people', (response: ServerResponse) => response.setHeader('content-type', 'text/html')],
])('a collector that %s gets it again', async (_, answer) => {
  const got = await endWith('/exit', answer, { register: ALL, protocol: 'http/protobuf' })
  expect(got).toEqual({ exit: EXITED, ok: 2, own: 1 })
})
