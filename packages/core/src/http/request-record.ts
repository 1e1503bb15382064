import { context, createContextKey, type Context } from '@opentelemetry/api'
import type { PendingCounts, PendingEntry } from './pending-counts.ts'
import type { HeldChild } from './held-child.ts'
import type { LinkedList } from '../linked-list.ts'
import type { OpenCall } from '../tasks/open-call.ts'
import type { RequestOutcome, TaskId, TraceRef } from '../contracts/task.ts'

/** One per request that this process serves, kept in the OpenTelemetry context: the join between a request and its promises. */
export interface RequestRecord {
  /** The SERVER span. */
  readonly ref: TraceRef
  readonly method: string
  readonly startedAt: number
  route?: string
  /** What a framework has told by spans of its own. Outer routers, which may be there, know less. */
  toldRoute?: string
  status?: number
  /** It failed, though its status does not say so. */
  hasFailed?: true
  /** How it has ended, where it was not sent. */
  outcome?: RequestOutcome
  /** Until it has ended, over HTTP/1. */
  response?:
    | { readonly writableEnded: boolean; readonly statusCode: number; readonly headersSent?: boolean }
    | undefined
  /** Tasks spawned so far. */
  promised: number
  /** The response has ended: its SERVER span is closed. */
  ended: boolean
  /** Until it has ended. */
  openCalls?: LinkedList<OpenCall> | undefined
  /** Of a request that nobody sampled: what was done for it and has ended; or it has failed, and all of it is told. */
  children?: readonly HeldChild[] | 'told' | undefined
  /** Those that had no room. */
  lostChildren?: number
  /** It ended without a promise, and is counted in afterspan_requests_effective_total by this process, soon or already. */
  pending?: { readonly in: PendingCounts; readonly as: PendingEntry }
}

/** Keys are Symbol.for() underneath: they cross copies of the API. */
export const REQUEST_KEY: symbol = createContextKey('afterspan.request')
/** The answered handshake of the connection whose code runs: what is thrown is told of it, and nothing else. */
export const CONNECTION_KEY: symbol = createContextKey('afterspan.connection')
/** The task whose attempt is running, as a TaskId. */
export const TASK_KEY: symbol = createContextKey('afterspan.task')

export function activeRequest(from: Context = context.active()): RequestRecord | undefined {
  return from.getValue(REQUEST_KEY) as RequestRecord | undefined
}
export function activeTask(from: Context = context.active()): TaskId | undefined {
  return from.getValue(TASK_KEY) as TaskId | undefined
}
