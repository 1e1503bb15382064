import { existsSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import type { TestContext } from 'vitest'
import { get } from '../src/http.ts'
import { runApp } from '../src/run-app.ts'
import { present, service } from '../src/services.ts'
import type { Server, ServiceName } from '../src/services.ts'
import { pollUntil } from '../src/signals.ts'

vi.setConfig({ testTimeout: 60_000 })

/** What each server answers to; '' is no answer. PostgreSQL answers N to who asks for TLS, from a child of its own. */
const QUESTIONS = {
  jaeger: { bytes: 'GET /v1/traces HTTP/1.0\r\n\r\n', answer: /^HTTP\/1\.\d 405/ },
  // ApiVersions, version 0; the answer begins with its length and the number of the question.
  kafka: { bytes: Buffer.from('0000000a00120000000000010000', 'hex'), answer: /^.{4}\0\0\0\x01\0\0/s },
  // It greets whoever connects.
  mariadb: { bytes: '', answer: /MariaDB/ },
  nats: { bytes: 'PING\r\n', answer: /^INFO/ },
  postgres: { bytes: Buffer.from('0000000804d2162f', 'hex'), answer: /^N/ },
  prometheus: { bytes: 'GET /-/healthy HTTP/1.0\r\n\r\n', answer: /^HTTP\/1\.\d 200/ },
  rabbitmq: { bytes: 'AMQP\0\0\x09\x01', answer: /RabbitMQ/ },
  redis: { bytes: 'PING\r\n', answer: /^\+PONG/ },
  'redis-cluster': { bytes: 'SET key value\r\n', answer: /^-MOVED 12539 127\.0\.0\.1:\d+/ },
} as const

test.for(Object.keys(QUESTIONS) as ServiceName[])(
  '%s answers, not while frozen, again when thawed',
  async (name, context) => {
    const server = await start(name, context)
    const { answer } = QUESTIONS[name]
    expect(await ask(name, server)).toMatch(answer)
    await server.freeze()
    expect(await ask(name, server, 300)).toBe('')
    await server.thaw()
    expect(await ask(name, server)).toMatch(answer)
  },
)

test.for(['postgres', 'redis'] as const)(
  '%s that is frozen can be stopped, and again; nothing is left',
  async (name, context) => {
    const server = await start(name, context)
    await server.freeze()
    await server.stop()
    await server.stop()
    expect(await ask(name, server)).toBe('')
    expect(existsSync(dirname(server.logFile))).toBe(false)
  },
)

test('postgres that is stopped leaves no shared memory', async (context) => {
  const server = await start('postgres', context)
  await server.freeze()
  expect(sharedMemoryOf(server.pid)).toBe(true)
  await server.stop()
  expect(sharedMemoryOf(server.pid)).toBe(false)
})

test.for(['running', 'frozen'])('postgres that was left %s ends with its runner, without a trace', async (state) => {
  const runner = runApp({ args: [join(import.meta.dirname, 'fixtures/forgetful-service.mjs'), state] })
  const [, pid, folder] = await runner.waitForLine(/^left (\d+) (\S+)$/, 30_000)
  expect(await runner.exit).toEqual({ code: null, signal: 'SIGTERM' })
  await pollUntil(() => !sharedMemoryOf(Number(pid)))
  await pollUntil(() => !existsSync(folder ?? ''))
})

test('a session of postgres that is frozen stands still too', async (context) => {
  const server = await start('postgres', context)
  const session = connect(server.port, server.host)
  onTestFinished(() => void session.destroy())
  session.write(QUESTIONS.postgres.bytes)
  expect(await nextBytes(session)).toBe('N')
  await server.freeze()
  session.write(startupMessage('postgres'))
  expect(await nextBytes(session, 300)).toBe('')
  await server.thaw()
  expect(await nextBytes(session)).toMatch(/^R/) // authenticated
})

test('redis takes options of its own', async (context) => {
  const server = await start('redis', context, { args: ['--maxmemory', '1', '--maxmemory-policy', 'noeviction'] })
  expect(await talk(server, 'SET key value\r\n')).toMatch(/^-OOM/)
})

test('prometheus says what is wrong with a file of rules', async (context) => {
  const wrong = new URL('fixtures/app.cjs', import.meta.url).pathname
  await start('prometheus', context)
  await expect(service('prometheus', { ruleFiles: [wrong] })).rejects.toThrow(/prometheus did not start: .*app\.cjs/s)
})

test('prometheus has no target unless told', async (context) => {
  const server = await start('prometheus', context)
  const { text } = await get(`${server.url}/api/v1/targets?state=active`)
  expect(JSON.parse(text)).toMatchObject({ data: { activeTargets: [] } })
})

test('a missing server skips with the reason, or fails where servers are required', async () => {
  vi.stubEnv('PATH', '/nowhere')
  onTestFinished(() => void vi.unstubAllEnvs())
  await expect(service('redis', {}, true)).rejects.toThrow(
    /redis-server is not in PATH.*AFTERSPAN_TEST_REQUIRE_SERVICES/,
  )
  const found = await service('redis', {}, false)
  const reasons: string[] = []
  expect(() => present(found, { skip: (reason) => void reasons.push(reason) })).toThrow('not in PATH')
  expect(reasons).toEqual([expect.stringContaining('test/services/install.sh')])
})

async function start<N extends ServiceName>(name: N, context: TestContext, options = {}): Promise<Server> {
  const server: Server = present(await service(name, options), context)
  onTestFinished(() => server.stop())
  return server
}

function ask(name: ServiceName, server: Server, timeoutMs = 5_000): Promise<string> {
  return talk(server, QUESTIONS[name].bytes, timeoutMs)
}

async function talk(server: Server, bytes: string | Uint8Array, timeoutMs = 5_000): Promise<string> {
  const socket = connect(server.port, server.host, () => socket.write(bytes))
  const answer = await nextBytes(socket, timeoutMs)
  socket.destroy()
  return answer
}

/** What comes next, or '' when nothing does. */
function nextBytes(socket: Socket, timeoutMs = 5_000): Promise<string> {
  return new Promise((resolve) => {
    const deadline = setTimeout(resolve, timeoutMs, '')
    socket.once('data', (bytes) => resolve(bytes.toString('latin1')))
    socket.once('error', () => resolve(''))
    socket.once('close', () => {
      clearTimeout(deadline)
      resolve('')
    })
  })
}

/** PostgreSQL's first message: length, protocol 3.0, parameters. */
function startupMessage(user: string): Buffer {
  const body = Buffer.from(`\0\x03\0\0user\0${user}\0\0`, 'latin1')
  const length = Buffer.alloc(4)
  length.writeUInt32BE(body.length + 4)
  return Buffer.concat([length, body])
}

/** Whether the system keeps a segment that this process made: the fifth column. */
function sharedMemoryOf(pid: number): boolean {
  const lines = readFileSync('/proc/sysvipc/shm', 'utf8').trimEnd().split('\n')
  return lines.some((line) => Number(line.trim().split(/\s+/)[4]) === pid)
}
