import type { EffectiveOutcome, RequestAnswered, RequestOutcome } from '../contracts/task.ts'
import type { Counter, MetricRegistry } from '../metrics/registry.ts'
import type { PendingCounts } from './pending-counts.ts'
import type { RequestRecord } from './request-record.ts'

const GRACE_MS = 1_000
const MOST_BORN = 1_000

type Ended = Pick<RequestAnswered, 'hasFailed' | 'outcome' | 'status'>

/** What a request that promised nothing counts as. Pure. */
export function effectiveOutcome({ hasFailed, outcome, status = 0 }: Ended): EffectiveOutcome {
  if (outcome === 'aborted_by_client') return 'abandoned'
  if (outcome !== 'sent' || hasFailed || status >= 500) return 'failed'
  return status >= 400 ? 'refused' : 'kept'
}

/** What is known of the end of a request. */
export function endOf({ hasFailed, outcome, status }: RequestRecord): Partial<Ended> {
  return {
    ...(hasFailed ? { hasFailed } : {}),
    ...(outcome === undefined ? {} : { outcome }),
    ...(status === undefined ? {} : { status }),
  }
}

/** Takes a request back that was going to be counted. False: it has been. */
export function withdraw(record: RequestRecord): boolean {
  const { pending } = record
  if (!pending || pending.in.isCounted) return false
  pending.as.requests--
  delete record.pending
  return true
}

/** Counts `afterspan_requests_effective_total` for requests that promised nothing, a second after they ended. */
export class EffectiveCounter {
  readonly #counter: Counter
  readonly #born = new Set<string>()
  #open: PendingCounts | undefined
  #closing: PendingCounts[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(metrics: MetricRegistry) {
    this.#counter = metrics.counter(
      'afterspan_requests_effective',
      'Requests by what their users really got. false_success: answered below 400, and work behind it failed or was lost. broken now = false_success - recovered.',
      ['http_route', 'http_request_method', 'outcome'],
    )
    metrics.callback(() => {
      this.#countDue()
      return []
    })
  }

  ended(record: RequestRecord, outcome: RequestOutcome): void {
    const { route = '', method, promised } = record
    if (promised > 0) {
      this.#bear(route, method)
      return // the patrol counts it
    }
    const pending = this.#current()
    const word = effectiveOutcome({ ...endOf(record), outcome })
    let entry = pending.last
    if (entry?.route !== route || entry.method !== method || entry.outcome !== word) {
      const key = `${word} ${method} ${route}`
      entry = pending.entries.get(key)
      if (!entry) {
        this.#bear(route, method)
        pending.entries.set(key, (entry = { route, method, outcome: word, requests: 0, trace: record.ref }))
      }
      pending.last = entry
    }
    entry.requests++
    entry.trace = record.ref
    record.pending = { in: pending, as: entry }
  }

  /** Born at 0: a counter born at 1 has no increase(), so the first false success would never alert. */
  #bear(route: string, method: string): void {
    const key = `${method} ${route}`
    if (this.#born.has(key) || this.#born.size >= MOST_BORN) return
    this.#born.add(key)
    this.#counter.add(0, route, method, 'false_success')
    this.#counter.add(0, route, method, 'recovered')
  }

  /** At the end of a process: what is pending will have no promise any more. */
  countAll(): void {
    if (this.#open) this.#closing.push(this.#open)
    this.#open = undefined
    for (const pending of this.#closing.splice(0)) this.#count(pending)
  }

  #current(): PendingCounts {
    const now = performance.now()
    if (this.#open && now - this.#open.since < GRACE_MS) return this.#open
    if (this.#open) this.#closing.push(this.#open)
    this.#open = { since: now, entries: new Map(), isCounted: false }
    this.#timer ??= setInterval(() => {
      this.#countDue()
    }, GRACE_MS).unref()
    return this.#open
  }

  #countDue(): void {
    const now = performance.now()
    if (this.#open && now - this.#open.since >= GRACE_MS) {
      this.#closing.push(this.#open)
      this.#open = undefined
    }
    // Its youngest request ended up to a second after its oldest.
    while (this.#closing[0] && now - this.#closing[0].since >= 2 * GRACE_MS) this.#count(this.#closing.shift()!)
    if (this.#open || this.#closing.length > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #count(pending: PendingCounts): void {
    pending.isCounted = true
    for (const { route, method, outcome, requests, trace } of pending.entries.values())
      if (requests > 0) this.#counter.addFrom(trace, requests, route, method, outcome)
  }
}
