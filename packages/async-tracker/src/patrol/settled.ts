// What the patrol's metrics say of single tasks and requests beside the counters in the ledger: how long tasks took, and the trace
// of the newest of each kind. Since this patrol began; the counters alone go on from one patrol to the next.
import {
  createMetricRegistry,
  type EpochMs,
  type MetricFamily,
  type MetricRegistry,
  type TaskId,
  type TaskState,
  type TraceRef,
} from '@afterspan/core/internal'
import { labelOf } from '../metric-label.ts'
import type { CounterRow, RequestKey, RequestRow, TaskRow } from '../ledger/store.ts'
import { BAD_STATES, OPEN_STATES } from '../task-state.ts'
import { REQUESTS_COUNTER, TASKS_COUNTER } from './counting.ts'

const DURATION_BOUNDS = [0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200]
const LABELS = ['system', 'destination', 'state', 'reason', 'http_route', 'http_request_method', 'outcome']
/** Kinds of outcomes whose newest trace is kept. */
const MOST_KINDS = 2_000

export interface Newest {
  readonly trace: TraceRef
  readonly at: EpochMs
}

interface Kind {
  readonly system: string
  readonly destination: string
  readonly state: TaskState
  readonly reason: string
  readonly key: string
  record?: ReturnType<ReturnType<MetricRegistry['histogram']>['bind']>
}

export interface Settled {
  note(
    change: { readonly tasks?: readonly TaskRow[]; readonly requests?: readonly RequestRow[] },
    known: { readonly tasks: ReadonlyMap<TaskId, TaskRow>; readonly requests: ReadonlyMap<RequestKey, RequestRow> },
    now: EpochMs,
  ): void
  /** Of the newest that a counter has counted. */
  newest(row: Pick<CounterRow, 'name' | 'labels'>): Newest | undefined
  families(): Promise<readonly MetricFamily[]>
}

export function createSettled(): Settled {
  const registry = createMetricRegistry()
  const durations = registry.histogram(
    'afterspan_task_duration_seconds',
    'Time from the promise of a task to its end, of what this patrol saw settle.',
    'seconds',
    DURATION_BOUNDS,
    ['system', 'destination', 'state'],
  )
  const traces = new Map<string, Newest>()
  const keep = (key: string, trace: TraceRef, at: EpochMs): void => {
    if (traces.has(key) || traces.size < MOST_KINDS) traces.set(key, { trace, at })
  }
  /** Most that settles at one time is of one kind, which is then looked up once. */
  let last: Kind | undefined
  const kindOf = (system: string, destination: string, state: TaskState, reason: string): Kind => {
    const isSame =
      last?.destination === destination && last.state === state && last.reason === reason && last.system === system
    if (isSame) return last!
    const key = keyOf(TASKS_COUNTER, { system, destination, state, reason })
    return (last = { system, destination, state, reason, key })
  }
  const noteTask = ({ facts, derived }: TaskRow, before: TaskRow | undefined, now: EpochMs): void => {
    const { state, reason = '', settledAt } = derived
    if (OPEN_STATES.has(state) || before?.derived.state === state) return
    const system = labelOf(facts.description?.system ?? '')
    const destination = labelOf(facts.description?.destination ?? '')
    const { origin, spawned, attempts } = facts
    // What failed is told also where nobody sampled it: there is a trace to be looked at.
    const trace = origin && (origin.sampled || BAD_STATES.has(state)) ? { ...origin, sampled: true } : undefined
    const kind = kindOf(system, destination, state, reason)
    if (trace) keep(kind.key, trace, now)
    const from = spawned?.at ?? attempts[0]?.startedAt
    if (from === undefined || settledAt === undefined) return
    const seconds = Math.max(0, settledAt - from) / 1000
    kind.record ??= durations.bind(system, destination, state)
    kind.record(seconds, trace, now)
  }
  const noteRequest = (row: RequestRow, before: RequestRow | undefined, now: EpochMs): void => {
    const { answered, counted, isRecovered } = row
    if (!answered) return
    const { origin, route = '', method } = answered
    const outcome =
      isRecovered && !before?.isRecovered ? 'recovered' : counted === before?.counted ? undefined : counted
    if (!outcome || outcome === 'own' || (!origin.sampled && outcome !== 'false_success')) return
    const labels = { http_route: labelOf(route), http_request_method: method, outcome }
    keep(keyOf(REQUESTS_COUNTER, labels), { ...origin, sampled: true }, now)
  }
  return {
    note({ tasks = [], requests = [] }, known, now) {
      for (const row of tasks) noteTask(row, known.tasks.get(row.facts.taskId), now)
      for (const row of requests) noteRequest(row, known.requests.get(row.key), now)
    },
    newest: ({ name, labels }) => traces.get(keyOf(name, labels)),
    families: () => registry.collect(),
  }
}

function keyOf(name: string, labels: Readonly<Record<string, string>>): string {
  let key = name
  for (const label of LABELS) key += `\0${labels[label] ?? ''}`
  return key
}
