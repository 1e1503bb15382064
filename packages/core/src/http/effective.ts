import type { EffectiveOutcome, RequestOutcome } from '../contracts/task.ts'
import type { MetricRegistry } from '../metrics/registry.ts'
import type { RequestRecord } from './request-record.ts'

const GRACE_MS = 1_000
const MOST_WAITING = 50_000

/** What a request that promised nothing counts as. Pure. */
export function effectiveOutcome(status: number, outcome: RequestOutcome): EffectiveOutcome {
  if (outcome === 'aborted_by_client') return 'abandoned'
  if (outcome !== 'sent' || status >= 500) return 'failed'
  return status >= 400 ? 'refused' : 'kept'
}

/**
 * Counts `afterspan_requests_effective_total` for requests that promised nothing. A request is counted a second after it
 * ended, so that a promise made right after the response still moves it to the patrol's count.
 */
export function createEffectiveCounter(metrics: MetricRegistry): {
  ended(record: RequestRecord, outcome: RequestOutcome): void
} {
  const counter = metrics.counter(
    'afterspan_requests_effective',
    'Requests by what their users really got. false_success: answered below 400, and work behind it failed or was lost. broken now = false_success - recovered.',
    ['http_route', 'http_request_method', 'outcome'],
  )
  const born = new Set<string>()
  let waiting: { record: RequestRecord; outcome: RequestOutcome; at: number }[] = []
  let timer: NodeJS.Timeout | undefined

  function count(record: RequestRecord, outcome: RequestOutcome): void {
    const route = record.route ?? ''
    const key = `${record.method} ${route}`
    if (!born.has(key) && born.size < 1000) {
      born.add(key)
      counter.add(0, route, record.method, 'false_success')
      counter.add(0, route, record.method, 'recovered')
    }
    if (record.promised > 0) return // the patrol counts it
    record.counted = true
    counter.add(1, route, record.method, effectiveOutcome(record.status ?? 0, outcome))
  }
  function sweep(all: boolean): void {
    const before = performance.now() - GRACE_MS
    let n = 0
    while (n < waiting.length && (all || waiting[n]!.at <= before)) {
      count(waiting[n]!.record, waiting[n]!.outcome)
      n++
    }
    waiting = waiting.slice(n)
  }
  metrics.callback(() => {
    sweep(false)
    return []
  })
  return {
    ended(record, outcome) {
      waiting.push({ record, outcome, at: performance.now() })
      if (waiting.length >= MOST_WAITING) sweep(true)
      timer ??= setInterval(() => {
        sweep(false)
        if (waiting.length === 0) {
          clearInterval(timer)
          timer = undefined
        }
      }, GRACE_MS).unref()
    },
  }
}
