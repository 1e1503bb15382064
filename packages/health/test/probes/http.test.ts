import { readFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { Agent, createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { repositoryRoot } from '@afterspan/testing'
import type { ProbeResult } from '@afterspan/core/internal'
import { afterEach, describe, expect, test } from 'vitest'
import { probeConformance } from '../probe-conformance.ts'
import { httpProbe, judgeAnswer } from '../../src/probes/http.ts'
import type { HttpProbeOptions } from '../../src/probes/http-options.ts'

const certificate = (name: string): Buffer => readFileSync(join(repositoryRoot(), `test/apps/certificates/${name}.pem`))
const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

async function serve(answer: RequestListener, isSecure = false): Promise<string> {
  const server = isSecure
    ? createSecureServer({ cert: certificate('self-signed.cert'), key: certificate('self-signed.key') }, answer)
    : createServer(answer)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http${isSecure ? 's' : ''}://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const check = (options: HttpProbeOptions, signal = new AbortController().signal): Promise<ProbeResult> =>
  httpProbe(options).check(signal)

const up: RequestListener = (request, response) => {
  response.setHeader('content-type', 'application/json; charset=utf-8')
  response.end(
    JSON.stringify({ status: 'up', parts: [{ name: 'db', up: true }], got: request.headers['x-key'] ?? null }),
  )
}

describe('an answer', () => {
  test('of 2xx is well, and says what was measured', async () => {
    expect(await check({ url: await serve(up) })).toEqual({
      status: 'pass',
      observed: { status: { value: 200 }, elapsed: { value: expect.any(Number), unit: 'ms' } },
    })
  })

  test.for([
    [{ status: 204 }, 'unexpected_status'],
    [{ status: [200, 204] }, undefined],
    [{ contentType: 'application/json' }, undefined],
    [{ contentType: 'text/html' }, 'unexpected_content_type'],
    [{ text: '"up"' }, undefined],
    [{ text: /"down"/g }, 'unexpected_body'],
    [{ text: (body: string) => body.length > 5 }, undefined],
    [{ json: { status: 'up', parts: [{ up: true }] } }, undefined],
    [{ json: { status: 'down' } }, 'unexpected_body'],
    [{ json: { parts: { 0: {} } } }, 'unexpected_body'],
    [{ json: (body: { parts: unknown[] }) => body.parts.length === 2 }, 'unexpected_body'],
    [{ json: { got: 'mine' }, headers: { 'x-key': 'mine' } }, undefined],
  ] as const)('is held to %j: %s', async ([options, code]) => {
    const result = await check({ url: await serve(up), ...options } as HttpProbeOptions)
    expect([result.status, result.code]).toEqual(code ? ['fail', code] : ['pass', undefined])
  })

  test('that is no JSON, or longer than a mebibyte, is not what was wanted; nothing of it is told', async () => {
    const html = await serve((_request, response) => response.end('<h1>shop@db.internal</h1>'))
    const result = await check({ url: html, json: {} })
    expect(result).toMatchObject({ status: 'fail', code: 'unexpected_body' })
    expect(JSON.stringify(result)).not.toContain('shop')
    const endless = await serve((_request, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write('x'.repeat(65_536)));
      }
      response.on('drain', more)
      more()
    })
    expect(await check({ url: endless, text: 'y' })).toMatchObject({ status: 'fail', code: 'unexpected_body' })
  })

  test('that is a redirect is followed as often as was said, and keeps what was given from other origins', async () => {
    const other = await serve(up)
    const first = await serve((request, response) => {
      if (request.url === '/end') return up(request, response)
      response.writeHead(302, { location: request.url === '/away' ? other : '/end' })
      return response.end()
    })
    const headers = { 'x-key': 'mine' }
    expect(await check({ url: first })).toMatchObject({ status: 'fail', code: 'unexpected_redirect' })
    expect(await check({ url: first, status: 302 })).toMatchObject({ status: 'pass' })
    expect(await check({ url: first, redirects: 1, headers, json: { got: 'mine' } })).toMatchObject({ status: 'pass' })
    expect(await check({ url: `${first}/away`, redirects: 1, headers, json: { got: null } })).toMatchObject({
      status: 'pass',
    })
  })

  test('that is right but slow is a warning', async () => {
    expect(await check({ url: await serve(up), slowMs: -1 })).toMatchObject({ status: 'warn', code: 'too_slow' })
  })
})

describe('TLS', () => {
  test('a certificate that nobody vouches for is refused by name; with its authority the days it has left are told', async () => {
    const url = (await serve(up, true)).replace('127.0.0.1', 'localhost')
    expect(await check({ url })).toMatchObject({ status: 'fail', code: 'tls' })
    const request = { rejectUnauthorized: false }
    expect(await check({ url, request })).toMatchObject({
      status: 'pass',
      observed: { certificateDays: { unit: 'days' } },
    })
  })

  test('the days are told by each check, also over an agent that resumes its sessions', async () => {
    const url = await serve(up, true)
    const agent = new Agent({ maxCachedSessions: 10 })
    for (const request of [{ rejectUnauthorized: false }, { rejectUnauthorized: false, agent }]) {
      const probe = httpProbe({ url, request })
      for (let asked = 0; asked < 3; asked++) {
        const { observed } = await probe.check(new AbortController().signal)
        expect(observed).toHaveProperty('certificateDays')
      }
    }
  })

  test('a certificate that ends soon is a warning', () => {
    const answer = { status: 200, contentType: '', body: '', isCut: false, elapsedMs: 1, validUntil: 20 * 86_400_000 }
    const url = 'https://a'
    expect(judgeAnswer(answer, { url }, 0)).toMatchObject({ status: 'pass' })
    expect(judgeAnswer(answer, { url }, 7 * 86_400_000)).toMatchObject({
      status: 'warn',
      code: 'certificate_expires_soon',
      observed: { certificateDays: { value: 13 } },
    })
    // Also where the app has told Node not to look.
    expect(judgeAnswer(answer, { url }, 21 * 86_400_000)).toMatchObject({ status: 'fail', code: 'certificate_expired' })
  })
})

test('an address that is none of HTTP is told at once, without it', () => {
  expect(() => httpProbe({ url: 'ftp://shop:hunter2@files' })).toThrow(/^httpProbe: ftp: is neither http: nor https:$/)
})

test('a connection that is closed without an answer, and one that is refused', async () => {
  const url = await serve((request) => request.socket.destroy())
  expect(await check({ url })).toMatchObject({ status: 'fail', code: 'ECONNRESET' })
  servers.splice(0)[0]!.close()
  expect(await check({ url })).toMatchObject({ status: 'fail', code: 'ECONNREFUSED' })
})

probeConformance('http', {
  well: async () => httpProbe({ url: await serve(up) }),
  sick: async () =>
    httpProbe({
      url: (await serve((_request, response) => response.writeHead(503).end('hunter2'))).replace(
        '//',
        '//shop:hunter2@',
      ),
    }),
  silent: async () => httpProbe({ url: await serve(() => {}) }),
  secrets: ['127.0.0.1', 'hunter2', 'shop'],
})
