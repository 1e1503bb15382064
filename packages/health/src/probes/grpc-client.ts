// The part of @grpc/grpc-js that a probe needs: one client, its channel, and how to ask over it.
import { CHECK, decodeResponse, encodeRequest, type Serving } from '../grpc-wire.ts'
import { isAtItsEnd } from '../natural-end.ts'

export interface GrpcCall {
  cancel(): void
}
export interface GrpcError {
  readonly code?: number
  readonly details?: string
}
interface Listener {
  onReceiveStatus(status: { readonly code: number }): void
}
interface ChannelCall {
  start(metadata: unknown, listener: Listener): void
}
export interface GrpcChannel {
  createCall(method: string, ...rest: unknown[]): ChannelCall
  /** With true it would dial. */
  getConnectivityState(dial: false): number
  getTarget(): string
}
/** Of 1.4 on. */
export interface GrpcClient {
  getChannel(): GrpcChannel
  makeUnaryRequest(
    path: string,
    serialize: (value: string) => Buffer,
    deserialize: (bytes: Uint8Array) => Serving,
    argument: string,
    done: (error: GrpcError | null, value?: Serving) => void,
  ): GrpcCall
}

const TRANSIENT_FAILURE = 3
const SHUTDOWN = 4
/** Statuses that tell of the way to the server, or of a server that cannot; others are its answers. */
const BAD: ReadonlySet<number> = new Set([4, 8, 14])
const WATCHED = Symbol('afterspan.health')

/** The app has closed it. */
export function isShutDown(client: GrpcClient): boolean {
  return client.getChannel().getConnectivityState(false) === SHUTDOWN
}

export function isFailing(client: GrpcClient): boolean {
  return client.getChannel().getConnectivityState(false) === TRANSIENT_FAILURE
}

export type Asked =
  | { readonly kind: 'answer'; readonly serving: Serving }
  | { readonly kind: 'refused'; readonly error: GrpcError }
  | { readonly kind: 'late' }

/** How many questions are on their way, each over a connection of the app's. */
let underWay = 0
const LOOK_MS = 250

/**
 * grpc.health.v1 Check over the app's own channel, until the signal, or until nothing but such questions holds the process: a call holds it, and
 * a server that is frozen must not. Then the call is cancelled. Never rejects.
 */
export function check(client: GrpcClient, service: string, signal: AbortSignal): Promise<Asked> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve({ kind: 'late' })
    let call: GrpcCall | undefined
    const onAbort = (): void => {
      settle({ kind: 'late' })
      call?.cancel()
    }
    signal.addEventListener('abort', onAbort, { once: true })
    underWay++
    const looking = setInterval(() => {
      if (isAtItsEnd(underWay)) onAbort()
    }, LOOK_MS).unref()
    let isSettled = false
    const settle = (asked: Asked): void => {
      if (isSettled) return
      isSettled = true
      underWay--
      clearInterval(looking)
      signal.removeEventListener('abort', onAbort)
      resolve(asked)
    }
    try {
      call = client.makeUnaryRequest(CHECK, encodeRequest, decodeResponse, service, (error, serving) => {
        settle(error ? { kind: 'refused', error } : { kind: 'answer', serving: serving ?? 0 })
      })
    } catch (error) {
      settle({ kind: 'refused', error: { code: 14, details: error instanceof Error ? error.message : String(error) } })
    }
  })
}

/** What became of the app's own calls over some channels. */
export class GrpcCalls {
  readonly #now: () => number
  goodAt = Number.NEGATIVE_INFINITY
  badAt = Number.NEGATIVE_INFINITY
  badCode = 0

  constructor(now: () => number) {
    this.#now = now
  }

  /** From now on; once for each channel, however often. */
  follow(channel: GrpcChannel & { [WATCHED]?: true }): void {
    if (channel[WATCHED]) return
    channel[WATCHED] = true
    const { createCall } = channel
    const note = (code: number): void => this.#note(code)
    channel.createCall = function (method, ...rest) {
      const call = createCall.call(channel, method, ...rest)
      if (method === CHECK) return call
      const { start } = call
      call.start = (metadata, listener) => start.call(call, metadata, noting(listener, note))
      return call
    }
  }

  /** The app's last calls went wrong, and none has gone well since. */
  isBad(withinMs: number): boolean {
    return this.badAt > this.goodAt && this.#now() - this.badAt < withinMs
  }

  #note(code: number): void {
    if (BAD.has(code)) {
      this.badAt = this.#now()
      this.badCode = code
    } else if (code !== 1) this.goodAt = this.#now() // 1: the app has cancelled it
  }
}

function noting(listener: Listener, note: (code: number) => void): Listener {
  return Object.create(listener, {
    onReceiveStatus: {
      value(this: Listener, status: { readonly code: number }) {
        note(status.code)
        listener.onReceiveStatus.call(this, status)
      },
    },
  }) as Listener
}
