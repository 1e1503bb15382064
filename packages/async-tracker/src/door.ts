// A socket that a process holds for as long as it lives: <dir>/doors/<nonce>.<thread>. The kernel closes it with the process, so
// a door that nobody holds is a proof of death. It is the one that also holds where /proc says nothing: from a container's next
// start, in another PID namespace, under hidepid, behind another host name. No clock and no lease is in it.
import { existsSync, lstatSync, readdirSync, unlinkSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { makeFolder } from '@afterspan/core/internal'
import { withSocketPath } from './socket-path.ts'

const KNOCK_MS = 2_000
/** EAGAIN: the queue is full, as that of a process which stands still. */
const ANSWERS: Readonly<Record<string, Knocked>> = { EAGAIN: 'held', ECONNREFUSED: 'shut', ENOENT: 'none' }

/** What is behind a door. 'shut': the process that had it is gone. 'none': it never had one, or its end was orderly. */
export type Knocked = 'held' | 'shut' | 'none' | 'unknown'

/** Returns what holds the door, and makes it again where somebody has taken it away. Never throws, and does not keep the process alive: without a door there is one proof less. */
export function createDoor(dir: string, key: string): () => void {
  let server: Server | undefined
  return () => {
    if (server && existsSync(doorPath(dir, key))) return
    server?.close()
    server = createServer((socket) => socket.destroy())
    server.on('error', () => {})
    server.unref()
    try {
      makeFolder(doorsOf(dir))
      withSocketPath(doorsOf(dir), key, (path, done) => {
        // exclusive: a worker of a cluster would ask its primary, and the socket would be the primary's.
        server!.listen({ path, exclusive: true }, done)
      })
    } catch {
      // a file system without sockets, or without space
    }
  }
}

export function knock(dir: string, key: string): Promise<Knocked> {
  return new Promise((resolve) => {
    try {
      withSocketPath(doorsOf(dir), key, (path, done) => {
        const socket = connect(path)
        const finish = (answer: Knocked): void => {
          clearTimeout(timer)
          socket.destroy()
          done()
          resolve(answer)
        }
        const timer = setTimeout(finish, KNOCK_MS, 'unknown')
        timer.unref()
        socket.on('connect', () => finish('held'))
        socket.on('error', ({ code }: NodeJS.ErrnoException) => {
          const answer = ANSWERS[code ?? ''] ?? 'unknown'
          finish(answer === 'shut' && !isSocket(doorPath(dir, key)) ? 'unknown' : answer)
        })
      })
    } catch {
      resolve('unknown')
    }
  })
}

/** Anything else under that name refuses too, and proves nothing. */
function isSocket(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true
}

export function removeDoor(dir: string, key: string): void {
  try {
    unlinkSync(doorPath(dir, key))
  } catch {
    // there is none
  }
}

/** Keys of the processes that have, or had, one. */
export function listDoors(dir: string): string[] {
  try {
    return readdirSync(doorsOf(dir))
  } catch {
    return []
  }
}

export function doorPath(dir: string, key: string): string {
  return join(doorsOf(dir), key)
}

function doorsOf(dir: string): string {
  return join(dir, 'doors')
}
