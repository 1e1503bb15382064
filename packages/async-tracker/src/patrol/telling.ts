import {
  encodeSpan,
  encodeTraceRequest,
  type EncodedSpan,
  type EpochMs,
  type Evidence,
  type RequestReceived,
  type SpanData,
  type TaskEvent,
  type TaskFailed,
  type TaskLost,
} from '@afterspan/core/internal'
import type { OutboxRow, ProcessRow } from '../ledger/store.ts'
import type { TaskFacts } from '../task-facts.ts'
import { attemptSpan, joinedSpan, outcomeSpan, producerSpan, requestSpan } from '../told-span.ts'
import { deathOf } from './losses.ts'

const SCOPE = { name: 'afterspan' }

/** Which spans an event of bad news puts on their way to the collector. At most one for each event; its id is always the same. None where the process exports the span itself. */
export function spansToTell(
  facts: TaskFacts,
  event: TaskEvent,
  process: ProcessRow | undefined,
  now: EpochMs,
): OutboxRow[] {
  if (event.kind !== 'failed' && event.kind !== 'lost') return []
  if (event.isTold) return []
  // The broker's word on what the attempt itself has told.
  if (event.kind === 'failed' && event.spanId === undefined && isToldByAttempt(facts, event)) return []
  const spanId = event.spanId ?? facts.taskId.slice(32)
  if (event.span) return [row(spanId, facts, encoded(event.span, process), now)]
  const span = spanOf(facts, event, process)
  return span ? [row(span.spanId, facts, request(span, process), now)] : []
}

/**
 * Attempts whose message carried no context ran in traces of their own: where one of them went badly, the origin's trace is told of
 * each that has ended. Always the same for the same facts.
 */
export function joinedSpans(
  facts: TaskFacts,
  processOf: (by: string) => ProcessRow | undefined,
  now: EpochMs,
): OutboxRow[] {
  const joined = facts.attempts.filter(
    ({ joinedFrom, end, lost }) => joinedFrom && (end ? end.state === 'succeeded' || end.state === 'failed' : lost),
  )
  if (!joined.some(({ end }) => end?.state !== 'succeeded')) return []
  return joined.map((attempt) => {
    const process = processOf(attempt.by)
    const span = joinedSpan(facts, attempt, process?.worker)
    return row(span.spanId, facts, request(span, process), now)
  })
}

/** Not where the event is itself what ended the attempt. */
function isToldByAttempt({ attempts }: TaskFacts, { reason, at }: TaskFailed): boolean {
  return attempts.some(
    ({ end }) => end?.state === 'failed' && !end.willRetry && (end.reason !== reason || end.at !== at) && end.at <= at,
  )
}

function spanOf(facts: TaskFacts, event: TaskFailed | TaskLost, process: ProcessRow | undefined): SpanData | undefined {
  if (event.spanId !== undefined) {
    const attempt = facts.attempts.find((a) => a.spanId === event.spanId)
    if (attempt) return attemptSpan(facts, attempt, process?.worker)
    if (event.kind === 'lost' || event.willRetry) return undefined
  }
  const end = facts.ends.find((known) => known.state === event.kind && known.reason === event.reason)
  if (!end) {
    // The broker's word, taken for the end of the attempt that its teller was running.
    const ended = facts.attempts.find((a) => a.end?.reason === event.reason && a.end.at === event.at)
    return ended && attemptSpan(facts, ended, process?.worker)
  }
  return end.state === 'lost' && end.reason === 'never_enqueued' ? producerSpan(facts, end) : outcomeSpan(facts, end)
}

/** A span of the patrol's making, in the name of the process that it is about. */
export function request(span: SpanData, process: ProcessRow | undefined): Uint8Array {
  return encodeTraceRequest(process?.resource ?? {}, [{ scope: SCOPE, spans: [encodeSpan(span)] }])
}

/** A request that its process had in flight when it died. */
export function crashedRequest(
  received: RequestReceived,
  process: ProcessRow,
  now: EpochMs,
  evidence: Evidence,
): OutboxRow {
  const span = requestSpan(received, { at: now, ...deathOf(process, evidence) })
  return { spanId: span.spanId, body: request(span, process), tries: 0, nextAt: now }
}

function encoded({ scope, bytes }: EncodedSpan, process: ProcessRow | undefined): Uint8Array {
  return encodeTraceRequest(process?.resource ?? {}, [
    { scope: { name: scope }, spans: [Buffer.from(bytes, 'base64')] },
  ])
}

function row(spanId: string, { taskId }: TaskFacts, body: Uint8Array, nextAt: EpochMs): OutboxRow {
  return { spanId, taskId, body, tries: 0, nextAt }
}
