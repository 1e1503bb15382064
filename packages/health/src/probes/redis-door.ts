// What a Redis says to whoever comes to its door. It turns clients away in words (no room for one more, still loading), and those are lost:
// a client that has written already hears a reset, and one that waits until the server has loaded hears nothing.
import { connect } from 'node:net'
import type { ProbeResult } from '@afterspan/core/internal'
import { scrub } from '../scrub.ts'
import { refusalWord } from './redis-refusal.ts'

export interface RedisAddress {
  readonly host?: string | undefined
  readonly port?: number | undefined
  readonly path?: string | null | undefined
}

/** So long it is listened to before something is said: a server that turns away speaks first, and what is unread then becomes a reset. */
const LISTEN_MS = 100
const DOOR_MS = 300
/** What is said to everybody, whoever he is. */
const SAID_TO_ALL: ReadonlySet<string | undefined> = new Set([
  'BUSY',
  'DENIED',
  'LOADING',
  'MASTERDOWN',
  'MISCONF',
  'too_many_connections',
])

/** The doors of one group of clients. */
export class RedisDoorstep {
  #isAbsent = false

  /** `check`, and where no client was connected last time, and is now, what the server says at its door. */
  async check(address: RedisAddress | undefined, check: () => Promise<ProbeResult>): Promise<ProbeResult> {
    const said = this.#isAbsent && address ? askDoor(address) : undefined
    const result = await check()
    this.#isAbsent = result.status === 'fail' && result.code === 'not_connected'
    const message = this.#isAbsent ? await said : undefined
    const code = message === undefined ? undefined : refusalWord(message)
    if (code === undefined || !SAID_TO_ALL.has(code)) return result
    return { ...result, code, reason: `no client is connected: ${scrub(message!)}` }
  }
}

/** One connection, which says at most PING, and ends with the first line that comes. Without it: undefined. */
function askDoor({ host = 'localhost', port = 6379, path }: RedisAddress): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = path ? connect(path) : connect(port, host)
    socket.unref()
    const end = (line?: string): void => {
      clearTimeout(listening)
      clearTimeout(deadline)
      socket.destroy()
      resolve(line)
    }
    const listening = setTimeout(() => socket.write('PING\r\n'), LISTEN_MS).unref()
    const deadline = setTimeout(end, DOOR_MS).unref()
    socket.on('error', () => end())
    socket.on('close', () => end())
    socket.once('data', (bytes: Buffer) => {
      const [line = ''] = bytes.toString('latin1').split('\r\n')
      end(line.startsWith('-') ? line.slice(1) : undefined)
    })
  })
}
