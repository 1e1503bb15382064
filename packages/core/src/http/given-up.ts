// A call that the app gives up ends with the same error as one whose server hangs up: which of them it is can be seen only as it is done.
import { executionAsyncResource } from 'node:async_hooks'
import { ClientRequest } from 'node:http'
import type { ClientHttp2Stream } from 'node:http2'
import { replaceMethod } from '../instrument/replace-method.ts'

const givenUp = new WeakSet<object>()

export function watchGivenUp(): void {
  replaceMethod(
    ClientRequest.prototype,
    'destroy',
    (original) =>
      function (this: ClientRequest, ...args: unknown[]) {
        if (!args[0] && !this.destroyed && !isTimer()) givenUp.add(this)
        return original.apply(this, args)
      },
  )
}

/** Not with an error of the app's own, and not since its time had run out: a timer, also that of its connection, gives up for that. */
export function isGivenUp(request: object, error: unknown): boolean {
  const { code, syscall } = (error ?? {}) as NodeJS.ErrnoException
  return code === 'ECONNRESET' && syscall === undefined && givenUp.has(request)
}

/**
 * The prototype of all streams of clients. Node itself calls both methods, but for a stream that is closed by then, or whose connection
 * is gone.
 */
export function watchGivenUpStreams(prototype: object): void {
  for (const method of ['close', 'destroy'])
    replaceMethod(
      prototype,
      method,
      (original) =>
        function (this: ClientHttp2Stream, ...args: unknown[]) {
          if (!this.closed && !this.destroyed && isConnected(this) && !isTimer()) givenUp.add(this)
          return original.apply(this, args)
        },
    )
}

/** By the app; else its server, or what lies between, has ended it without a word. */
export function isGivenUpStream(stream: object): boolean {
  return givenUp.has(stream)
}

function isConnected({ session }: ClientHttp2Stream): boolean {
  try {
    return session?.socket.destroyed === false
  } catch {
    return false // it has none any more
  }
}

function isTimer(): boolean {
  return '_onTimeout' in executionAsyncResource()
}
