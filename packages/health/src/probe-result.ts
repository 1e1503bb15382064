import type { ProbeResult, ProbeStatus } from '@afterspan/core/internal'
import { publicCode } from './codes.ts'
import { scrub } from './scrub.ts'

const MOST_OBSERVED = 20

/** What a probe returned, made safe to show and to send to another thread: a known status and code, scrubbed text, bounded values. Anything else is a fail. */
export function safeResult(given: unknown): ProbeResult {
  const result = (typeof given === 'object' && given !== null ? given : {}) as Partial<
    Record<keyof ProbeResult, unknown>
  >
  if (!isStatus(result.status))
    return { status: 'fail', code: 'invalid_result', reason: 'the probe returned no status of pass, warn or fail' }
  const code = publicCode(result.code)
  const observed = safeObserved(result.observed)
  return {
    status: result.status,
    ...(code === undefined ? {} : { code }),
    ...(typeof result.reason === 'string' && result.reason !== '' ? { reason: scrub(result.reason) } : {}),
    ...(isCause(result.cause) ? { cause: result.cause } : {}),
    ...(observed ? { observed } : {}),
  }
}

function isStatus(value: unknown): value is ProbeStatus {
  return value === 'pass' || value === 'warn' || value === 'fail'
}
function isCause(value: unknown): value is NonNullable<ProbeResult['cause']> {
  return value === 'dependency' || value === 'self_recoverable' || value === 'self_wedged'
}

function safeObserved(given: unknown): ProbeResult['observed'] {
  if (typeof given !== 'object' || given === null) return undefined
  const out: Record<string, { value: number | string | boolean; unit?: string }> = {}
  for (const [key, measured] of Object.entries(given).slice(0, MOST_OBSERVED)) {
    const { value, unit } = (measured ?? {}) as { value?: unknown; unit?: unknown }
    const kept = typeof value === 'string' ? safeText(value, unit) : value
    if (!/^[A-Za-z][A-Za-z0-9_]{0,40}$/.test(key)) continue
    if (typeof kept !== 'number' && typeof kept !== 'string' && typeof kept !== 'boolean') continue
    // Not finite: JSON has no word for it.
    if (typeof kept === 'number' && !Number.isFinite(kept)) continue
    out[key] = { value: kept, ...(typeof unit === 'string' ? { unit: unit.slice(0, 20) } : {}) }
  }
  return Object.keys(out).length > 0 ? out : undefined
}

/** A place in the source is no host, which it would be taken for: `orders.ts:88`. Nor is the name of a queue: `orders.mail`. */
function safeText(value: string, unit: unknown): string {
  if (unit === 'file:line' && /^[\w@./\\ +-]{1,200}\.[cm]?[jt]sx?:\d{1,7}$/.test(value)) return value
  if (unit === 'queue' && /^[\w.:-]{1,120}$/.test(value)) return value
  return scrub(value).slice(0, 100)
}
