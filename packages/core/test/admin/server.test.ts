import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { get, pollUntil, tempDir } from '@afterspan/testing'
import { afterEach, expect, test } from 'vitest'
import { AdminServer } from '../../src/admin/server.ts'

const MOST_CONNECTIONS = 64
const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

async function listening(): Promise<URL> {
  const addressFile = join(tempDir('admin'), 'address')
  const settings = { host: '127.0.0.1', port: 0, token: '', hosts: [], addressFile, metrics: false }
  const server = new AdminServer(settings, () => {})
  server.route('/large', () => ({ status: 200, headers: {}, body: 'x'.repeat(4_000_000) }))
  server.route('/livez', () => ({ status: 200, headers: {}, body: 'well' }))
  server.start()
  ends.push(() => server.stop())
  return pollUntil(async () => {
    try {
      return new URL(readFileSync(addressFile, 'utf8'))
    } catch {
      return undefined
    }
  })
}

async function silentClient(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').pause()
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

test('clients that said nothing, or read nothing of what they asked for, kept everybody else from the admin listener', async () => {
  const url = await listening()
  const sockets: Socket[] = []
  for (let i = 0; i < MOST_CONNECTIONS; i++) sockets.push(await silentClient(Number(url.port)))
  ends.push(() => sockets.forEach((socket) => socket.destroy()))
  const [reader = expect.unreachable()] = sockets
  reader.write('GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n'.repeat(8))
  const answer = await pollUntil(() => get(`${url.origin}/livez`).catch(() => undefined), { timeoutMs: 25_000 })
  expect(answer.text).toBe('well')
  // What is written to a connection that the other side has closed is refused.
  const isRefused = (): boolean => {
    if (!reader.destroyed) reader.write('\r\n')
    return reader.destroyed
  }
  expect(await pollUntil(isRefused, { timeoutMs: 40_000, intervalMs: 200 })).toBe(true)
}, 70_000)
