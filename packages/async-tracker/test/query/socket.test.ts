import { chmodSync, existsSync, mkdirSync, readdirSync, readlinkSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { connect } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import type { Answer } from '../../src/query/answer.ts'
import { askPatrol, serveSocket } from '../../src/query/socket.ts'
import { deferred } from '../../../testing/src/signals.ts'
import { tempDir } from '../../../testing/src/temp-dir.ts'

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})
const echo = async (path: string, query: URLSearchParams): Promise<Answer> => ({
  status: 200,
  body: { path, query: [...query] },
})
async function serve(dir: string, answer = echo): Promise<Server> {
  const server = await serveSocket(dir, answer)
  servers.push(server)
  return server
}
/** A folder whose socket has a name that is longer than the kernel takes. */
function longDir(): string {
  const dir = join(tempDir('socket'), 'x'.repeat(120), 'y'.repeat(120))
  mkdirSync(dir, { recursive: true })
  return dir
}
function openFolders(dir: string): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === dir
    } catch {
      return false
    }
  }).length
}
/** What the socket says to bytes that no client of ours would send. */
async function raw(dir: string, bytes: string): Promise<string> {
  const socket = connect(join(dir, 'patrol.sock'))
  socket.end(bytes)
  let text = ''
  socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  await once(socket, 'close')
  return text
}

describe.each([
  ['a short name', () => tempDir('socket')],
  ['a name longer than a socket may have', longDir],
])('in a folder of %s', (_, makeDir) => {
  test('a question is passed on, and its answer comes back', async () => {
    const dir = makeDir()
    await serve(dir)
    const answer = await askPatrol(dir, '/tasks?state=failed&route=%2Forders%20x')
    expect(answer).toEqual({
      status: 200,
      body: {
        path: '/tasks',
        query: [
          ['state', 'failed'],
          ['route', '/orders x'],
        ],
      },
    })
    expect(openFolders(dir)).toBe(0)
  })
  test('nobody is there to answer: undefined, whether or not somebody was', async () => {
    const dir = makeDir()
    expect(await askPatrol(dir, '/tasks')).toBeUndefined()
    writeFileSync(join(dir, 'patrol.sock'), 'of somebody who died')
    expect(await askPatrol(dir, '/tasks')).toBeUndefined()
    expect(await askPatrol(join(dir, 'missing'), '/tasks')).toBeUndefined()
    expect(openFolders(dir)).toBe(0)
  })
  test('the socket of a patrol that died is taken over, for nobody else to open', async () => {
    const dir = makeDir()
    writeFileSync(join(dir, 'patrol.sock'), 'of somebody who died')
    chmodSync(join(dir, 'patrol.sock'), 0o666)
    await serve(dir)
    expect(statSync(join(dir, 'patrol.sock')).isSocket()).toBe(true)
    expect(statSync(join(dir, 'patrol.sock')).mode & 0o777).toBe(0o600)
    expect((await askPatrol(dir, '/tasks'))?.status).toBe(200)
  })
})

test('a folder that is not there cannot be served', async () => {
  const dir = join(tempDir('socket'), 'missing')
  await expect(serveSocket(dir, echo)).rejects.toThrow(/EACCES|ENOENT/)
  await expect((async () => serveSocket(join(dir, 'x'.repeat(150)), echo))()).rejects.toThrow('ENOENT')
  expect(existsSync(dir)).toBe(false)
})

test.for(['//', 'http://', '/%', '/receipt/%00', '/\u0001', '*', 'javascript:alert(1)', `/${'x'.repeat(10_000)}`])(
  'an address that is none, or odd, is answered and kills nobody: %j',
  async (address) => {
    const dir = tempDir('socket')
    await serve(dir)
    const text = await raw(dir, `GET ${address} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
    expect(text).toMatch(/^HTTP\/1\.1 (200|400) /)
    expect((await askPatrol(dir, '/tasks'))?.status).toBe(200)
  },
)

test('bytes that are no HTTP are answered with 400', async () => {
  const dir = tempDir('socket')
  await serve(dir)
  expect(await raw(dir, '\u0000\u0001 nonsense\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /)
  expect((await askPatrol(dir, '/tasks'))?.status).toBe(200)
})

test.for<[string, () => Promise<Answer>]>([
  ['cannot be worked out', () => Promise.reject(new Error('the disk is gone'))],
  ['cannot be written', async () => ({ status: 200, body: { count: 1n } })],
])('an answer that %s is a 500, without the reason', async ([, answer]) => {
  const dir = tempDir('socket')
  await serve(dir, answer)
  expect(await askPatrol(dir, '/tasks')).toEqual({ status: 500, body: { error: 'the ledger could not be read' } })
})

describe('an answer that is no good is none', () => {
  async function impostor(handle: Parameters<typeof createServer>[1]): Promise<string> {
    const dir = tempDir('socket')
    const server = createServer(handle as never)
    servers.push(server)
    server.listen(join(dir, 'patrol.sock'))
    await once(server, 'listening')
    return dir
  }
  test('it is no JSON, or breaks off', async () => {
    expect(await askPatrol(await impostor((_, response) => response.end('<html>')), '/')).toBeUndefined()
    const broken = await impostor((_, response) => {
      response.writeHead(200, { 'content-length': '100' }).write('{"tasks":[')
      setImmediate(() => response.destroy())
    })
    expect(await askPatrol(broken, '/')).toBeUndefined()
  })
  test('it has no end', async () => {
    const chunk = Buffer.alloc(1024 * 1024, ' ')
    const dir = await impostor((_, response) => {
      const more = (): void => {
        while (response.write(chunk));
        response.once('drain', more)
      }
      more()
    })
    expect(await askPatrol(dir, '/', 20_000)).toBeUndefined()
  })
  test('it does not come in time', async () => {
    const gone = deferred()
    const dir = await impostor((incoming) => incoming.on('close', gone.resolve))
    expect(await askPatrol(dir, '/', 500)).toBeUndefined()
    await gone.promise
  })
})

test('a server that serves keeps no process alive', async () => {
  const dir = tempDir('socket')
  const server = await serve(dir)
  expect((server as unknown as { _handle: { hasRef(): boolean } })._handle.hasRef()).toBe(false)
})

test('two questions at once are two answers', async () => {
  const dir = tempDir('socket')
  const first = deferred<Answer>()
  await serve(dir, (path) => (path === '/slow' ? first.promise : Promise.resolve({ status: 200, body: path })))
  const slow = askPatrol(dir, '/slow')
  expect(await askPatrol(dir, '/fast')).toEqual({ status: 200, body: '/fast' })
  first.resolve({ status: 200, body: '/slow' })
  expect(await slow).toEqual({ status: 200, body: '/slow' })
})
