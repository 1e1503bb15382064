// The patrol's socket: HTTP over `patrol.sock` in the ledger folder (0600). Only the patrol has the ledger open; everybody else asks here.
import { chmodSync, unlinkSync } from 'node:fs'
import { Agent, createServer, request, type Server } from 'node:http'
import { join } from 'node:path'
import { OWN_REQUEST } from '@afterspan/core/internal'
import { withSocketPath } from '../socket-path.ts'
import type { Answer } from './answer.ts'

const MOST_ANSWER_BYTES = 64 * 1024 * 1024
/** An app that asks for a receipt makes no call of its own. */
const OWN_AGENT = Object.assign(new Agent(), { [OWN_REQUEST]: true })

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
    'patrol.sock',
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
    'patrol.sock',
    (socketPath, done) =>
      new Promise((resolve) => {
        const finish = (answer: Answer | undefined): void => {
          clearTimeout(timer)
          done()
          resolve(answer)
        }
        const asked = request({ agent: OWN_AGENT, socketPath, path }, (response) => {
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
