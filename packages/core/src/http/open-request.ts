import type { Context } from '@opentelemetry/api'
import type { RequestOutcome, TraceRef } from '../contracts/task.ts'
import { describeException, type RequestSpan } from '../sdk/request-span.ts'
import type { OpenRequest } from './in-flight.ts'
import type { LoggedError, LogSource } from './logged-error.ts'
import type { RequestHead } from './request-attributes.ts'
import type { RequestRecord } from './request-record.ts'
import { expressRoute } from './routes/express.ts'
import type { Route } from './routes/framework.ts'

/** Request state hangs on the request and response objects: with pipelining their events run under another request's context. */
export const OPEN: unique symbol = Symbol('afterspan.open')
export interface Marked {
  [OPEN]?: Open
}

/** The request that an object of Node's stands for, also below HTTP/2's compatibility API; undefined when nobody watches it or it has ended. */
export function openOf(request: unknown): Open | undefined {
  const open = requestOf(request)
  return open?.done ? undefined : open
}

/** The same, be it over or not. */
export function requestOf(request: unknown): Open | undefined {
  const marked = request as (Marked & { readonly stream?: Marked }) | null | undefined
  return marked?.[OPEN] ?? marked?.stream?.[OPEN]
}

/** A request from its first byte to the end of its response. */
export class Open implements OpenRequest {
  readonly record: RequestRecord
  readonly span: RequestSpan
  readonly context: Context
  readonly request: RequestHead
  /** As it arrived: routers of Connect's kind write to `request.url`. */
  readonly path: string
  /** In the flight log. */
  readonly slot: number
  readonly settle: (open: Open, outcome: RequestOutcome, status: number | undefined) => void
  /** What the app threw while it served this request. */
  error: unknown
  /** What it put on the console or into the log last. */
  logged: { readonly error: LoggedError; readonly source: LogSource } | undefined
  /** Where a framework has told of it: then it is the only one to know the route. */
  route: Route | undefined
  /** Where nobody has told of it. */
  inferredRoute: string | undefined
  /** What the app has answered was a failure, though the status of HTTP does not say so: its error.type. */
  failure: string | undefined
  /** The answer is a stream of events: mostly it has no other end than that its client leaves. */
  isEventStream = false
  done = false

  constructor(init: Pick<Open, 'record' | 'span' | 'context' | 'request' | 'path' | 'settle' | 'slot'>) {
    this.record = init.record
    this.span = init.span
    this.context = init.context
    this.request = init.request
    this.path = init.path
    this.settle = init.settle
    this.slot = init.slot
  }
  get ref(): TraceRef {
    return this.record.ref
  }
  /** The template, as far as it is known; for good once the response has ended with this status. */
  routeAt(status: number | undefined): string | undefined {
    const { route } = this
    const { toldRoute } = this.record
    if (toldRoute !== undefined) return toldRoute
    if (route === undefined) return expressRoute(this.request, status) ?? this.#routeOfSpan()
    if (typeof route === 'string') return route
    try {
      return route(status)
    } catch {
      return undefined
    }
  }
  /** What the app, or a framework, has put there by the API. */
  #routeOfSpan(): string | undefined {
    const route = this.span.attributes['http.route']
    return typeof route === 'string' ? route : undefined
  }
  endForCrash(role: 'culprit' | 'bystander' | 'unattributed', error: unknown, culprit: TraceRef | undefined): void {
    this.span.setAttribute('afterspan.crash.role', role)
    // Who is guilty is not known: each of them may be the one, and says so.
    if (role !== 'bystander') this.blame(error)
    if (role !== 'culprit' && culprit) {
      const { traceId, spanId, sampled } = culprit
      const attributes = { 'afterspan.crash.role': 'culprit' }
      this.span.addLink({ context: { traceId, spanId, traceFlags: sampled ? 1 : 0 }, attributes })
    }
    this.settle(this, 'crashed', undefined)
  }
  blame(error: unknown): void {
    this.error = named(error)
  }
  hasThrown(error: unknown): void {
    if (this.error === undefined) this.error = named(error)
  }
  hasBroken(error: unknown): void {
    this.hasThrown(error)
    this.failure = describeException(this.error).type
  }
  forgive(error: unknown): void {
    if (this.error === named(error)) this.error = undefined
  }
  /** What tells where it was thrown is not given away for what does not: frameworks make an error without a stack of one that the client may not see. */
  hasLogged(error: LoggedError, source: LogSource): void {
    // What follows the head of the answer is not why it is a 5xx.
    if (this.logged !== undefined && this.record.response?.headersSent === true) return
    if (this.logged === undefined || error.stack || !this.logged.error.stack) this.logged = { error, source }
  }
  endForExit(): void {
    this.settle(this, 'aborted_by_server', undefined)
  }
}

/** `throw undefined` is an error too. */
function named(error: unknown): unknown {
  return error === undefined ? UNDEFINED : error
}
const UNDEFINED = { __proto__: null, name: 'undefined', message: 'undefined' }
