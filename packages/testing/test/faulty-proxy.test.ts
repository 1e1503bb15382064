import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { faultyProxy } from '../src/faulty-proxy.ts'
import { testSignal } from '../src/signals.ts'

test('a way without answers lost what was asked once the first answer was lost', async () => {
  const asked = testSignal<string>('asked')
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (bytes) => {
      asked.emit(String(bytes))
      socket.write(`${String(bytes)}!`)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const proxy = await faultyProxy({ host: '127.0.0.1', port: (server.address() as AddressInfo).port })
  const client = connect(proxy.port, '127.0.0.1')
  const heard: string[] = []
  client.on('data', (bytes) => heard.push(String(bytes)))
  client.on('error', () => {})
  const ask = (question: string): Promise<string> => {
    client.write(question)
    return asked.next()
  }
  expect(await ask('one')).toBe('one')
  await once(client, 'data')
  await proxy.set('mute')
  expect(await ask('two')).toBe('two')
  expect(await ask('three')).toBe('three')
  await proxy.set('none')
  expect(await ask('four')).toBe('four')
  const closed = new Promise((resolve) => client.once('close', resolve))
  await proxy.set('reset')
  await closed
  expect(heard).toEqual(['one!'])
  await proxy.stop()
  server.close()
})
