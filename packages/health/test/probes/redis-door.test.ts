import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import type { ProbeResult } from '@afterspan/core/internal'
import { afterEach, expect, test } from 'vitest'
import { RedisDoorstep } from '../../src/probes/redis-door.ts'

const ABSENT: ProbeResult = { status: 'fail', code: 'not_connected', reason: 'no client is connected: read ECONNRESET' }
const sockets = new Set<Socket>()
let server: Server | undefined
let visits: number

afterEach(async () => {
  for (const socket of sockets) socket.destroy()
  await new Promise<void>((resolve) => {
    if (server) server.close(() => resolve())
    else resolve()
  })
})

async function door(onVisit: (socket: Socket) => void): Promise<{ readonly host: string; readonly port: number }> {
  visits = 0
  server = createServer((socket) => {
    visits++
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    onVisit(socket)
  })
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve))
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
}
const answersPing =
  (line: string) =>
  (socket: Socket): void => {
    socket.on('data', (bytes) => {
      if (String(bytes) === 'PING\r\n') socket.write(line)
    })
  }

/** The second round of a client that nobody lets in. */
async function secondRound(onVisit: (socket: Socket) => void): Promise<ProbeResult> {
  const address = await door(onVisit)
  const doorstep = new RedisDoorstep()
  expect(await doorstep.check(address, async () => ABSENT)).toEqual(ABSENT)
  expect(visits).toBe(0)
  const result = await doorstep.check(address, async () => ABSENT)
  expect(visits).toBe(1)
  return result
}

test('a server that has no room for one more is heard, though its clients hear a reset', async () => {
  expect(await secondRound((socket) => socket.end('-ERR max number of clients reached\r\n'))).toEqual({
    ...ABSENT,
    code: 'too_many_connections',
    reason: 'no client is connected: ERR max number of clients reached',
  })
  await expect.poll(() => sockets.size).toBe(0)
})

test('one that still loads says so to whoever asks', async () => {
  const line = '-LOADING Redis is loading the dataset in memory\r\n'
  expect(await secondRound(answersPing(line))).toMatchObject({ status: 'fail', code: 'LOADING' })
})

test.for<[string, (socket: Socket) => void]>([
  ['is well', answersPing('+PONG\r\n')],
  ['wants to know who it is', answersPing('-NOAUTH Authentication required.\r\n')],
  ['says nothing', (socket) => void socket.resume()],
  ['hangs up', (socket) => socket.destroy()],
])('a server that %s tells nothing new', async ([, onVisit]) => {
  expect(await secondRound(onVisit)).toEqual(ABSENT)
  await expect.poll(() => sockets.size).toBe(0)
})

test('nobody goes there while a client is connected, nor where it is not known where that is', async () => {
  const address = await door(() => {})
  const doorstep = new RedisDoorstep()
  for (const result of [ABSENT, ABSENT]) await doorstep.check(undefined, async () => result)
  await doorstep.check(undefined, async () => ({ status: 'pass' }))
  await doorstep.check(address, async () => ABSENT)
  expect(visits).toBe(0)
})
