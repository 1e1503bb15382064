// A change of health is told once in each way: a span with links to the work that showed it, a line on stderr, a report, the log that
// survives the process, and the app's own listeners. What goes well leaves nothing.
import {
  incident,
  newSpanId,
  newTraceId,
  OTLP_KIND,
  type Core,
  type HealthChange,
  type HealthEvidence,
  type SpanData,
} from '@afterspan/core/internal'
import type { Question } from './traffic.ts'

/** Lines at once, and the time after which there may be one more: a check that flaps for a day must not fill a disk. */
const MOST_LINES = 20
const LINE_EVERY_MS = 10_000
/** Warnings of a busy process come and go by themselves; metrics and trace have them. */
const NO_LINE = new Set(['event_loop_delay', 'event_loop_saturated'])
/** Each lost task and broken promise was told when it was found, in its own trace. */
const TOLD_ALREADY = new Set(['false_success', 'task_overdue', 'tasks_lost'])

export interface Telling {
  readonly core: Pick<Core, 'clock' | 'keepHealth' | 'report' | 'tell'>
  readonly evidence: (question: Question) => HealthEvidence[]
  readonly say: (text: string) => void
  readonly listeners: (change: HealthChange) => void
}
/** How long the round took that turned it, and when the check was last well. */
export interface Turn {
  readonly durationMs: number
  readonly lastPassAt?: number | undefined
}

export function createTelling({
  core,
  evidence,
  say,
  listeners,
}: Telling): (change: HealthChange, turn: Turn) => HealthChange {
  const mayPrint = lineLimit(() => core.clock.monotonicMs())
  return (bare, turn) => {
    const isGood = bare.to === 'pass'
    const { component, code, previousCode } = bare
    const since = (isGood ? bare.since : turn.lastPassAt) as Question['since']
    const shown = evidence({ component, code, isGood, since })
    const trace = { traceId: newTraceId(), spanId: newSpanId(), sampled: true }
    const why = (isGood ? previousCode : code) ?? ''
    const isToldAlready = TOLD_ALREADY.has(why)
    const change: HealthChange = {
      ...bare,
      ...(shown.length > 0 ? { evidence: shown } : {}),
      ...(isToldAlready ? {} : { trace }),
    }
    core.keepHealth(change)
    if (!isToldAlready) {
      core.tell(spanOf(change, turn))
      if (!NO_LINE.has(why)) mayPrint(() => lineOf(change), say)
      core.report(reportOf(change))
    }
    listeners(change)
    return change
  }
}

/** In a trace of its own: of the failing round, or, when all is well again, of the whole trouble. */
export function spanOf(change: HealthChange, { durationMs }: Turn): SpanData {
  const { name, to, at, code, reason, observed, since, evidence = [], trace } = change
  const startMs = to === 'pass' && since !== undefined ? since : at - durationMs
  const isBad = to === 'fail'
  return {
    traceId: trace!.traceId,
    spanId: trace!.spanId,
    name: `health ${name} ${to}`,
    kind: OTLP_KIND.internal,
    startMs: Math.min(startMs, at),
    endMs: at,
    attributes: {
      'afterspan.health.check': name,
      'afterspan.health.component': change.component,
      'afterspan.health.required': change.required,
      'afterspan.health.status': to,
      ...(change.from ? { 'afterspan.health.previous_status': change.from } : {}),
      ...(code === undefined ? {} : { 'afterspan.health.code': code }),
      ...(reason === undefined ? {} : { 'afterspan.health.reason': reason }),
      ...(change.cause ? { 'afterspan.health.cause': change.cause } : {}),
      ...(observed ? { 'afterspan.health.observed': observedText(observed) } : {}),
      ...(isBad ? { 'error.type': code ?? 'fail' } : {}),
    },
    links: evidence.map(({ trace: { traceId, spanId } }) => ({ traceId, spanId })),
    status: isBad ? { code: 2, message: reason ?? code ?? '' } : { code: 0 },
    flags: 1,
  }
}

/** One line, for people: what turned, why, and where to look. */
export function lineOf(change: HealthChange): string {
  const { name, from, to, code, reason, previousCode, since, at, required, evidence = [], trace } = change
  if (to === 'pass') {
    const lasted = since === undefined ? '' : ` after ${seconds(at - since)}`
    return `${name} is well again${lasted}; it was ${from ?? 'fail'}${previousCode === undefined ? '' : ` (${previousCode})`}. trace ${trace?.traceId ?? ''}`
  }
  const was = from ? `from ${from} to ${to}` : to
  const shown = evidence[0]
    ? ` ${evidence.length} of the app's own calls showed it, the first in trace ${evidence[0].trace.traceId}.`
    : ''
  const why = [code, reason].filter((word) => word !== undefined).join(': ')
  return `${name} turned ${was}${required ? '' : ' (optional)'}: ${why || 'no reason given'}.${shown} trace ${trace?.traceId ?? ''}`
}

function reportOf(change: HealthChange): ReturnType<typeof incident> {
  const { name, at, to, code, reason, evidence, trace } = change
  const [first] = evidence ?? []
  return incident({
    kind: 'health_changed',
    at,
    trace: first?.trace ?? trace,
    route: first?.route,
    ...(to === 'pass' ? {} : { failure: { type: code ?? to, message: `${name}: ${reason ?? to}` } }),
    health: change,
  })
}

export function observedText(observed: NonNullable<HealthChange['observed']>): string {
  return Object.entries(observed)
    .map(([key, { value, unit }]) => `${key}=${value}${unit === undefined || unit === 'count' ? '' : ` ${unit}`}`)
    .join(', ')
}

export function seconds(ms: number): string {
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`
}

function lineLimit(now: () => number): (line: () => string, say: (text: string) => void) => void {
  let left = MOST_LINES
  let filledAt = now()
  let missed = 0
  return (line, say) => {
    const due = Math.floor((now() - filledAt) / LINE_EVERY_MS)
    if (due > 0) {
      left = Math.min(MOST_LINES, left + due)
      filledAt += due * LINE_EVERY_MS
    }
    if (left === 0) {
      missed++
      return
    }
    left--
    say(missed === 0 ? line() : `${line()} (${missed} changes before it were not printed)`)
    missed = 0
  }
}
