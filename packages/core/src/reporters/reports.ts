// Tells incidents to the app's own callbacks: a turn later, outside every request, and never more than there is room for.
import type { Incident } from '../contracts/reporter.ts'
import type { EpochMs, ProcessEvent, TaskEvent, TaskFailure, TraceRef } from '../contracts/task.ts'
import { say } from '../diag.ts'
import { globalState } from '../global-state.ts'
import { inFlight, type OpenRequest } from '../http/in-flight.ts'
import { openOf } from '../http/open-request.ts'
import { activeRequest } from '../http/request-record.ts'
import type { MetricRegistry } from '../metrics/registry.ts'
import { withoutTracing } from '../sdk/suppress.ts'
import { processChannel, taskChannel } from '../tasks/channel.ts'
import { incident, IncidentReader } from './incident-reader.ts'

const MOST_WAITING = 1_000
/** Promises of one callback that have not settled: it gets no more until one does. */
const MOST_UNSETTLED = 100
const HELP = 'Incidents told to callbacks of onReport(), and those that were not: too many at once.'

type Listener = (incident: Incident) => unknown

export interface Reports {
  /** There is somebody to tell. Until then nothing is looked at. */
  watch(): void
  /** `request` is Node's own, where the handler's framework gives it. */
  handlerFailed(request: unknown, failure: TaskFailure): void
  /** Somebody else saw it happen. */
  add(incident: Incident): void
  /** The process ends: what waits is told now. */
  tellAll(): void
}

export function createReports(metrics: Pick<MetricRegistry, 'counter'>, now: () => EpochMs): Reports {
  let waiting: Incident[] = []
  let isWatched = false
  const count = (outcome: 'dropped' | 'told'): void => {
    metrics.counter('afterspan_incidents', HELP, ['outcome']).add(1, outcome)
  }

  const tell = createTelling(count)
  const tellAll = (): void => {
    const incidents = waiting
    waiting = []
    if (incidents.length === 0) return
    // What a callback sends is no work of the request's: its failure would be the next incident.
    withoutTracing(() => {
      for (const incident of incidents)
        for (const listener of globalState().reportListeners ?? []) tell(listener, incident)
    })
  }
  const add = (incident: Incident): void => {
    if (!globalState().reportListeners?.size) return
    if (waiting.length >= MOST_WAITING) {
      count('dropped')
      return
    }
    waiting.push(incident)
    if (waiting.length === 1) setImmediate(tellAll).unref()
  }
  return {
    watch() {
      if (isWatched) return
      isWatched = true
      watchChannels(add)
    },
    handlerFailed(request, failure) {
      if (!globalState().reportListeners?.size) return
      const active = activeRequest()?.ref
      const open = openOf(request) ?? (active && openAt(active))
      const trace = open?.ref ?? active
      add(incident({ kind: 'handler_error', at: now(), failure, trace, route: open?.routeAt(500), taskId: undefined }))
    },
    add,
    tellAll,
  }
}

/** What a callback does with it is its own. */
function createTelling(count: (outcome: 'dropped' | 'told') => void): (listener: Listener, incident: Incident) => void {
  const unsettled = new WeakMap<Listener, number>()
  return (listener, incident) => {
    const open = unsettled.get(listener) ?? 0
    if (open >= MOST_UNSETTLED) {
      count('dropped')
      return
    }
    count('told')
    try {
      const returned = listener(incident)
      if (!(returned instanceof Promise)) return
      unsettled.set(listener, open + 1)
      const settle = (): void => {
        unsettled.set(listener, (unsettled.get(listener) ?? 1) - 1)
      }
      // An async function is a callback too: its rejection must not become the app's unhandled one.
      returned.then(settle, (error: unknown) => {
        settle()
        failed(error)
      })
    } catch (error) {
      failed(error)
    }
  }
}

function watchChannels(add: (incident: Incident) => void): void {
  const reader = new IncidentReader((request) => openAt(request)?.routeAt(undefined))
  const take = (incident: Incident | undefined): void => {
    if (incident) add(incident)
  }
  taskChannel.subscribe((event) => {
    take(reader.ofTask(event as TaskEvent))
  })
  processChannel.subscribe((event) => {
    take(reader.ofProcess(event as ProcessEvent))
  })
}

function openAt({ spanId }: TraceRef): OpenRequest | undefined {
  for (const open of inFlight) if (open.ref.spanId === spanId) return open
  return undefined
}

function failed(error: unknown): void {
  say('AFS_REPORT_FAILED', `a callback of onReport(), or Sentry, failed: ${messageOf(error)}`, 'callback')
}

/** What was thrown may be anything, also what throws when it is read. */
function messageOf(error: unknown): string {
  try {
    return error instanceof Error ? error.message : String(error)
  } catch {
    return 'with what cannot be read'
  }
}
