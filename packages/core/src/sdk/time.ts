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

/** OpenTelemetry's time inputs as epoch milliseconds: a small number is performance.now(), as the API has it; what is no time is now. */
export function toEpochMs(time: TimeInput | undefined): number {
  if (time === undefined) return nowMs()
  if (typeof time !== 'number') {
    const ms = Array.isArray(time) ? time[0] * 1000 + time[1] / 1e6 : time instanceof Date ? time.getTime() : NaN
    return Number.isFinite(ms) ? ms : nowMs()
  }
  if (!Number.isFinite(time)) return nowMs()
  // As the SDK has it: no date is as small as what performance.now() says.
  return time <= performance.now() ? anchor + time : time
}
