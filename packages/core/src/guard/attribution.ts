import { context, trace, type Context } from '@opentelemetry/api'
import type { TaskId, TraceRef } from '../contracts/task.ts'
import { inFlight } from '../http/in-flight.ts'
import { recentRequests } from '../http/recent-requests.ts'
import { activeRequest, activeTask, CONNECTION_KEY, type RequestRecord } from '../http/request-record.ts'
import { lateThrowers, takeThrowers } from '../sdk/last-thrower.ts'
import { attemptOf } from '../tasks/attempt-context.ts'
import { refOf } from '../tasks/producer.ts'
import { hasLeftScope } from './left-scope.ts'

/** Whose code threw. */
export interface Culprit {
  readonly ref: TraceRef
  readonly record?: RequestRecord
  readonly task?: TaskId
  /** The task, or its attempt, has ended: it is what that left behind. */
  readonly isOver?: boolean
  /** The attempt is at work here for another process or thread, which hears of the error and tells it. */
  readonly isToldElsewhere?: boolean
}

const RECENT_MS = 60_000

/**
 * The bound function that threw a moment ago says whose it is, also where somebody else's callback called it, and also that it is
 * nobody's; else the context that is still active in Node's handlers. Without either nobody is named: a request that happens to be
 * in flight alone may have nothing to do with it. Only a stack that ran over has lost its context for certain: then the one that is
 * there alone has it.
 */
export function findCulprit(error: unknown, origin: string): Culprit | undefined {
  const found = origin === 'unhandledRejection' ? rejecter() : thrower(error)
  if (found || !isOverflow(error)) return found
  const [only] = inFlight
  return only && findCandidates().length === 1 ? { ref: only.ref, record: only.record } : undefined
}

function thrower(error: unknown): Culprit | undefined {
  const noted = takeThrowers()
  if (noted.length > 0) return agreed(noted.map(culpritOf))
  return hasLeftScope(error) ? undefined : culpritOf(context.active())
}

/** Whose promise it is; but a bound function of somebody else's that threw just before may have been called within that one's. */
function rejecter(): Culprit | undefined {
  return agreed([context.active(), ...lateThrowers()].map(culpritOf))
}

/** The one that all of them name. */
function agreed([first, ...others]: readonly (Culprit | undefined)[]): Culprit | undefined {
  return others.every((other) => other?.ref.spanId === first?.ref.spanId) ? first : undefined
}

function culpritOf(from: Context): Culprit | undefined {
  const record = activeRequest(from)
  if (record) return { ref: record.ref, record }
  const span = trace.getSpan(from)
  const task = activeTask(from)
  if (span && task) {
    const { isOver = false, isResumed = false } = attemptOf(from) ?? {}
    return { ref: refOf(span), task, isOver, isToldElsewhere: isResumed && !isOver }
  }
  const handshake = from.getValue(CONNECTION_KEY) as RequestRecord | undefined
  return handshake && { ref: handshake.ref, record: handshake }
}

/** Who may have left it behind: what is in flight, and what was answered within the last minute. */
export function findCandidates(): TraceRef[] {
  return [...Array.from(inFlight, ({ ref }) => ref), ...recentRequests.since(Date.now() - RECENT_MS)].slice(0, 16)
}

function isOverflow(error: unknown): boolean {
  return error instanceof RangeError && error.message === 'Maximum call stack size exceeded'
}
