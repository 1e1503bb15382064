import { createServer } from 'node:http'
import type { RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { get } from '../src/http.ts'

test('every status is an answer, with its headers and text', async () => {
  const url = await serve((request, response) => {
    request.setEncoding('utf8').on('data', (body: string) => {
      response.writeHead(503, { 'x-method': request.method, 'x-own': request.headers['x-own'] })
      response.end(`${request.headers.connection} ${body}`)
    })
  })
  const answer = await get(url, { method: 'POST', headers: { 'x-own': 'yes' }, body: 'hello' })
  expect(answer).toMatchObject({ status: 503, text: 'close hello', headers: { 'x-method': 'POST', 'x-own': 'yes' } })
})

test('an answer that starts and does not end is no answer at the deadline', async () => {
  const url = await serve((_, response) => response.write('beginning'))
  await expect(get(url, { timeoutMs: 100 })).rejects.toThrow(`GET ${url}: no whole answer within 100 ms`)
})

test('a port that nobody listens on rejects with the address', async () => {
  const url = await serve(() => {})
  await new Promise((resolve) => servers.pop()?.close(resolve))
  await expect(get(url)).rejects.toThrow(/^GET http:.*ECONNREFUSED/)
})

const servers: ReturnType<typeof createServer>[] = []

async function serve(handle: RequestListener): Promise<string> {
  const server = createServer(handle)
  servers.push(server)
  onTestFinished(() => server.closeAllConnections())
  onTestFinished(() => void server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}
