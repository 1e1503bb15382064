import { createMetricRegistry, type MetricFamily, type MetricSample, type TaskState } from '@afterspan/core/internal'
import { FORGOTTEN_COUNTER } from '../ledger/forgotten.ts'
import type { CounterRow, LedgerStore } from '../ledger/store.ts'
import { OPEN_STATES } from '../task-state.ts'
import { REQUESTS_COUNTER, TASKS_COUNTER } from './counting.ts'
import type { PatrolService } from './service.ts'
import type { Newest, Settled } from './settled.ts'

const HELP: Readonly<Record<string, string>> = {
  [TASKS_COUNTER]: 'Tasks that have settled, by how. A task that was lost and then succeeded counts as both.',
  [REQUESTS_COUNTER]: 'Requests by what their users really got.',
  [FORGOTTEN_COUNTER]:
    'Open tasks that were removed from the ledger before their end was known: nothing was heard of them for too long, or it was full.',
}
const OPEN: readonly TaskState[] = [...OPEN_STATES]
const ANSWERS_WITHIN_MS = 800
const DETECTION_BOUNDS = [0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 300]

/** What the patrol adds to /metrics of the process that it runs in. Nothing where somebody else patrols. */
export function patrolMetrics(service: PatrolService): () => Promise<readonly MetricFamily[]> {
  const registry = createMetricRegistry()
  const detection = registry.histogram(
    'afterspan_patrol_detection_seconds',
    'Time from the last sign of life of a process to the proof of its death.',
    'seconds',
    DETECTION_BOUNDS,
  )
  let kept: Kept | undefined
  return async () => {
    const { patrol, ledger } = service
    if (!patrol || !ledger) return []
    for (const seconds of patrol.totals.detectionSeconds.splice(0)) detection.record(seconds)
    // A database that does not answer must not hold up a scrape: what it said last stands for it.
    kept = (await Promise.race([ask(ledger).catch(() => undefined), after(ANSWERS_WITHIN_MS)])) ?? kept
    if (!kept) return []
    const { open, counters } = kept
    const { torn, strange, nameless, undelivered, lastRunAt } = patrol.totals
    return [
      ...counterFamilies(counters, patrol.settled),
      gauge(
        'afterspan_tasks_open',
        'Tasks that have not settled.',
        OPEN.map((state) => ({
          labels: { state },
          value: open[state],
        })),
      ),
      gauge('afterspan_patrol_last_run_timestamp_seconds', 'When the patrol last finished a sweep.', [
        { labels: {}, value: lastRunAt / 1000 },
      ]),
      counter('afterspan_ledger_torn_records', 'Damaged stretches that were skipped in journals.', torn),
      counter('afterspan_ledger_strange_records', 'Whole records of journals that could not be understood.', strange),
      counter('afterspan_ledger_nameless_writers', 'Journals whose damage hides who wrote them.', nameless),
      undeliveredSpans(undelivered),
      ...(service.reports ? [reports(service.reports)] : []),
      ...(await registry.collect()),
      ...(await patrol.settled.families()),
    ]
  }
}

function reports(totals: Readonly<Record<string, number>>): MetricFamily {
  return {
    name: 'afterspan_reports',
    type: 'counter',
    help: 'Incidents for the webhook, by what became of them.',
    samples: Object.entries(totals).map(([outcome, value]) => ({ labels: { outcome }, value })),
  }
}

function undeliveredSpans(undelivered: Readonly<Record<string, number>>): MetricFamily {
  return {
    name: 'afterspan_patrol_undelivered_spans',
    type: 'counter',
    help: 'Spans that were to be told by the patrol and never will be, by reason.',
    samples: Object.entries(undelivered).map(([reason, value]) => ({ labels: { reason }, value })),
  }
}

interface Kept {
  readonly open: Readonly<Record<TaskState, number>>
  readonly counters: readonly CounterRow[]
}

async function ask(ledger: LedgerStore): Promise<Kept> {
  return { open: await ledger.countsByState(OPEN), counters: await ledger.counters() }
}

function after(ms: number): Promise<undefined> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms, undefined).unref()
  })
}

function counterFamilies(rows: readonly CounterRow[], settled: Settled): MetricFamily[] {
  return [TASKS_COUNTER, REQUESTS_COUNTER, FORGOTTEN_COUNTER].map((name) => ({
    name,
    type: 'counter',
    // Read from the ledger: the next patrol goes on from the same value.
    across: 'one',
    help: HELP[name] ?? '',
    samples: rows.filter((row) => row.name === name).map((row) => sampleOf(row, settled.newest(row))),
  }))
}

function sampleOf({ labels, value }: CounterRow, newest: Newest | undefined): MetricSample {
  if (!newest) return { labels, value }
  const { trace, at } = newest
  return { labels, value, exemplar: { labels: { trace_id: trace.traceId, span_id: trace.spanId }, value: 1, at } }
}

function gauge(
  name: string,
  help: string,
  samples: { readonly labels: Record<string, string>; readonly value: number }[],
): MetricFamily {
  return { name, type: 'gauge', across: 'one', help, samples }
}

function counter(name: string, help: string, value: number): MetricFamily {
  return { name, type: 'counter', help, samples: [{ labels: {}, value }] }
}
