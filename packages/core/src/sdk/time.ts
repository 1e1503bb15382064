import type { TimeInput } from '@opentelemetry/api'

/** Epoch milliseconds with fractions, on the monotonic clock: spans of one process never run backwards. Re-anchored when the wall clock was set (checked at most once a second). */
let anchor = Date.now() - performance.now()
let checkedAt = 0

export function nowMs(): number {
  const mono = performance.now()
  if (mono - checkedAt > 1000) {
    checkedAt = mono
    const drift = Date.now() - (anchor + mono)
    if (drift > 500 || drift < -500) anchor += drift
  }
  return anchor + mono
}

/** Where the monotonic clock began, by the wall clock of now. Whoever measures keeps it: what it measures must not become longer, or less than nothing, because the wall clock was set meanwhile. */
export function clockAnchor(): number {
  return anchor
}

/** OpenTelemetry's time inputs as epoch milliseconds: a small number is performance.now(), as the API has it; what is no time is now. By a clock that was kept, if one is given. */
export function toEpochMs(time: TimeInput | undefined, kept?: number): number {
  const now = (): number => (kept === undefined ? nowMs() : kept + performance.now())
  if (time === undefined) return now()
  if (typeof time !== 'number') {
    const ms = Array.isArray(time) ? time[0] * 1000 + time[1] / 1e6 : time instanceof Date ? time.getTime() : NaN
    return Number.isFinite(ms) ? ms : now()
  }
  if (!Number.isFinite(time)) return now()
  // As the SDK has it: no date is as small as what performance.now() says.
  return time <= performance.now() ? (kept ?? anchor) + time : time
}
