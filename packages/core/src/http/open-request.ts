import type { IncomingMessage } from 'node:http'
import type { Context } from '@opentelemetry/api'
import type { RequestOutcome, TraceRef } from '../contracts/task.ts'
import type { RequestSpan } from '../sdk/request-span.ts'
import type { OpenRequest } from './in-flight.ts'
import type { RequestRecord } from './request-record.ts'

/** Request state hangs on the request and response objects: with pipelining their events run under another request's context. */
export const OPEN: unique symbol = Symbol('afterspan.open')
export interface Marked {
  [OPEN]?: Open
}

/** A request from its first byte to the end of its response. */
export class Open implements OpenRequest {
  readonly record: RequestRecord
  readonly span: RequestSpan
  readonly context: Context
  readonly request: IncomingMessage
  /** In the flight log. */
  readonly slot: number
  readonly settle: (open: Open, outcome: RequestOutcome, status: number | undefined) => void
  /** What the app threw while it served this request. */
  error: unknown
  done = false

  constructor(init: Pick<Open, 'record' | 'span' | 'context' | 'request' | 'settle' | 'slot'>) {
    this.record = init.record
    this.span = init.span
    this.context = init.context
    this.request = init.request
    this.settle = init.settle
    this.slot = init.slot
  }
  get ref(): TraceRef {
    return this.record.ref
  }
  endForCrash(role: 'culprit' | 'bystander' | 'unattributed', error: unknown, culprit: TraceRef | undefined): void {
    this.span.setAttribute('afterspan.crash.role', role)
    if (role === 'culprit') this.error = error
    else if (culprit) {
      const { traceId, spanId, sampled } = culprit
      const attributes = { 'afterspan.crash.role': 'culprit' }
      this.span.addLink({ context: { traceId, spanId, traceFlags: sampled ? 1 : 0 }, attributes })
    }
    this.settle(this, 'crashed', undefined)
  }
  endForExit(): void {
    this.settle(this, 'aborted_by_server', undefined)
  }
}
