// SERVER spans of handshakes: an Upgrade (WebSocket), a CONNECT. Node publishes nothing of them and makes no response: the app has the
// socket and writes its answer there. So its listeners are met as they are added, and the first bytes are read for the status.
// A handshake is a request until it is answered. What comes over the connection later is work of its own, in traces of its own: one
// trace for all that a connection does in a day nobody could read. But what is thrown there is told of the handshake.
import { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { Server } from 'node:net'
import type { Duplex } from 'node:stream'
import { context, ROOT_CONTEXT, type Context } from '@opentelemetry/api'
import { suppressTracing } from '@opentelemetry/core'
import type { TraceRef } from '../contracts/task.ts'
import { putMethod } from '../instrument/replace-method.ts'
import { ADDING, boundListener, standIn, type AddListener, type Listener } from './bound-listener.ts'
import { makeRoom } from './listener-room.ts'
import { OPEN, openOf, type Marked, type Open } from './open-request.ts'
import { abortOutcome } from './outcome.ts'
import { CONNECTION_KEY, REQUEST_KEY } from './request-record.ts'
import { traceLines } from './trace-headers.ts'

const CONNECTION: unique symbol = Symbol('afterspan.connection')
type Request = IncomingMessage & Marked
type Socket = Duplex & { [CONNECTION]?: Context; errored?: unknown }

export interface UpgradeSettings {
  /** Undefined: the request is not to be seen. */
  begin(request: Request): Open | undefined
  enter(context: Context): void
  readonly traceResponse: boolean
}

export function watchUpgrades(settings: UpgradeSettings): void {
  for (const method of ADDING) {
    const adding: AddListener = function (this: Server, event, listener) {
      const isHandshake = (event === 'upgrade' || event === 'connect') && typeof listener === 'function'
      return add(method).call(this, event, isHandshake ? met(settings, event, listener) : listener)
    }
    putMethod(Server.prototype, method, adding)
  }
}

/** Looked up each time: others may put theirs there. */
function add(method: (typeof ADDING)[number]): AddListener {
  return EventEmitter.prototype[method] as AddListener
}

function met(settings: UpgradeSettings, event: string, listener: Listener): Listener {
  return standIn(event, listener, function (this: unknown, ...args) {
    const inContext = contextOf(settings, args[0] as Request, args[1] as Socket)
    return (inContext ? context.bind(inContext, listener) : listener).apply(this, args)
  })
}

/** Of the request that the listener gets; undefined where it is that of somebody else: HTTP/2 tells of a CONNECT in another way. */
function contextOf(settings: UpgradeSettings, request: Request, socket: Socket): Context | undefined {
  try {
    const known = socket[CONNECTION] ?? request[OPEN]?.context ?? openOf(request)?.context
    if (known || typeof request.headers !== 'object' || typeof socket.write !== 'function') return known
    const open = settings.begin(request)
    if (!open) return suppressTracing(ROOT_CONTEXT)
    request[OPEN] = open
    watchAnswer(settings, open, socket)
    return open.context
  } catch {
    return undefined
  }
}

/** Until the first bytes of the answer are written. */
function watchAnswer({ enter, traceResponse }: UpgradeSettings, open: Open, socket: Socket): void {
  const stop = [replaceOwn(socket, 'write', read), replaceOwn(socket, 'end', read)]
  makeRoom(socket)
  socket.once('close', () => {
    if (!open.done) open.settle(open, abortOutcome(open.request, open.span.nowMs() - open.span.startMs), undefined)
  })

  function read(args: unknown[]): void {
    const status = statusIn(args[0])
    // `end()` alone, or what is only on the way to an answer: 100, 103.
    if (args[0] === undefined || typeof args[0] === 'function' || (status && status < 200 && status !== 101)) return
    for (const undo of stop) undo()
    if (open.done) return
    if (traceResponse && status === 101) args[0] = withTrace(args[0], open.ref)
    open.settle(open, 'sent', status)
    if (status !== undefined && status >= 300) return
    const { record } = open
    for (const method of ADDING) putMethod(socket, method, ON[method])
    socket[CONNECTION] = ROOT_CONTEXT.setValue(CONNECTION_KEY, record)
    enter(open.context.deleteValue(REQUEST_KEY).setValue(CONNECTION_KEY, record))
  }
}

/** Listeners of a connection know whose it is. One function for all of them. */
const ON = Object.fromEntries(
  ADDING.map((method) => [
    method,
    function (this: Socket, event: string | symbol, listener: Listener): unknown {
      const original = (Object.getPrototypeOf(this) as Record<string, AddListener>)[method]!
      const inContext = this[CONNECTION]
      if (!inContext || typeof listener !== 'function') return original.call(this, event, listener)
      return original.call(this, event, boundListener(inContext, event, listener))
    },
  ]),
) as Record<(typeof ADDING)[number], AddListener>

/** Lets `look` see the arguments first, and change them. What is returned takes it away again. */
function replaceOwn(socket: Socket, method: 'end' | 'write', look: (args: unknown[]) => void): () => void {
  const before = Object.getOwnPropertyDescriptor(socket, method)
  const original = socket[method] as (...args: unknown[]) => unknown
  const value = function (this: Socket, ...args: unknown[]): unknown {
    try {
      look(args)
    } catch {
      // the answer goes out as the app wrote it
    }
    return original.apply(this, args)
  }
  putMethod(socket, method, value)
  return () => {
    // Where somebody has put theirs over it, it stays below.
    if ((socket[method] as unknown) !== value) return
    if (before) Object.defineProperty(socket, method, before)
    else Reflect.deleteProperty(socket, method)
  }
}

function statusIn(chunk: unknown): number | undefined {
  const text = chunk instanceof Uint8Array ? Buffer.from(chunk.subarray(0, 16)).toString('latin1') : chunk
  const found = typeof text === 'string' ? /^HTTP\/1\.[01] (\d{3})\b/.exec(text) : null
  return found ? Number(found[1]) : undefined
}

/** Behind the status line, as in every answer. */
function withTrace(chunk: unknown, ref: TraceRef): unknown {
  if (typeof chunk !== 'string' || /^traceresponse:/im.test(chunk)) return chunk
  const end = chunk.indexOf('\r\n') + 2
  if (end < 2) return chunk
  return chunk.slice(0, end) + traceLines(ref) + chunk.slice(end)
}
