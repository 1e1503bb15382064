// The patrol's socket: HTTP over `patrol.sock` in the ledger folder (0600). Only the patrol has the ledger open; everybody else asks here.
import { chmodSync, closeSync, openSync, unlinkSync } from 'node:fs'
import { createServer, request, type Server } from 'node:http'
import { join } from 'node:path'
import { OWN_REQUEST } from '@afterspan/core/internal'
import type { Answer } from './answer.ts'

const MOST_ANSWER_BYTES = 64 * 1024 * 1024
/** Longest name that the kernel takes for a socket. */
const MOST_PATH_BYTES = 107

/** Calls `use` with a path of the socket that is short enough, whatever the folder's length: by way of a descriptor of the folder. */
function withSocketPath<T>(dir: string, use: (path: string, done: () => void) => T): T {
  const path = join(dir, 'patrol.sock')
  if (Buffer.byteLength(path) <= MOST_PATH_BYTES) return use(path, () => {})
  let fd: number | undefined = openSync(dir, 'r')
  return use(`/proc/self/fd/${fd}/patrol.sock`, () => {
    if (fd !== undefined) closeSync(fd) // once: its number may be somebody else's by now
    fd = undefined
  })
}

export function serveSocket(
  dir: string,
  answer: (path: string, query: URLSearchParams) => Promise<Answer>,
): Promise<Server> {
  try {
    unlinkSync(join(dir, 'patrol.sock')) // of a patrol that is gone: whoever has the lock is the only one
  } catch {
    // none there
  }
  const server = createServer((incoming, response) => {
    incoming.resume()
    const url = URL.parse(incoming.url ?? '/', 'http://patrol')
    if (!url) {
      response.writeHead(400).end('{"error":"not an address"}')
      return
    }
    answer(url.pathname, url.searchParams)
      .then(({ status, body }) => {
        const text = JSON.stringify(body)
        response.writeHead(status, { 'content-type': 'application/json' }).end(text)
      })
      .catch(() => {
        response.writeHead(500).end('{"error":"the ledger could not be read"}')
      })
  })
  server.unref()
  return withSocketPath(
    dir,
    (path, done) =>
      new Promise((resolve, reject) => {
        server.on('error', (error) => {
          done()
          reject(error)
        })
        server.listen(path, () => {
          done()
          try {
            chmodSync(join(dir, 'patrol.sock'), 0o600)
          } catch {
            // the folder is 0700 anyway
          }
          resolve(server)
        })
      }),
  )
}

/** Asks whoever patrols the folder; undefined where nobody does. */
export async function askPatrol(dir: string, path: string, timeoutMs = 5_000): Promise<Answer | undefined> {
  try {
    return await ask(dir, path, timeoutMs)
  } catch {
    return undefined // no such folder
  }
}

function ask(dir: string, path: string, timeoutMs: number): Promise<Answer | undefined> {
  return withSocketPath(
    dir,
    (socketPath, done) =>
      new Promise((resolve) => {
        const finish = (answer: Answer | undefined): void => {
          clearTimeout(timer)
          done()
          resolve(answer)
        }
        const asked = request({ socketPath, path, [OWN_REQUEST]: true } as never, (response) => {
          const chunks: Buffer[] = []
          let bytes = 0
          response.on('data', (chunk: Buffer) => {
            bytes += chunk.length
            if (bytes > MOST_ANSWER_BYTES) response.destroy()
            else chunks.push(chunk)
          })
          response.on('close', () => {
            finish(parse(response.statusCode ?? 0, Buffer.concat(chunks)))
          })
        })
        const timer = setTimeout(() => asked.destroy(), timeoutMs)
        asked.on('error', () => {
          finish(undefined)
        })
        asked.end()
      }),
  )
}

function parse(status: number, body: Buffer): Answer | undefined {
  try {
    return { status, body: JSON.parse(body.toString()) as unknown }
  } catch {
    return undefined
  }
}
