// What is worth telling of what happens to this process and its tasks. Pure: events in, incidents out, each outcome once.
import type { Incident } from '../contracts/reporter.ts'
import type { ProcessEvent, TaskEvent, TaskFailure, TaskId, TraceRef } from '../contracts/task.ts'

/** Tasks that are remembered, of each sort: the oldest are forgotten first. */
const MOST_KNOWN = 10_000

/** What Node calls what nobody caught. */
const UNCAUGHT = new Set(['uncaughtException', 'unhandledRejection'])
const uncaught = new WeakSet<Incident>()

/** An error that nobody caught, which others who watch the process have seen too. */
export function isUncaught(incident: Incident): boolean {
  return incident.kind === 'crash' || uncaught.has(incident)
}

interface Spawner {
  readonly trace: TraceRef
  readonly route?: string
  readonly isStray?: boolean
}

export class IncidentReader {
  readonly #open = new Map<TaskId, Spawner>()
  readonly #told = new Set<TaskId>()
  readonly #routeOf: (request: TraceRef) => string | undefined
  #crash: TaskFailure | undefined

  constructor(routeOf: (request: TraceRef) => string | undefined) {
    this.#routeOf = routeOf
  }

  ofProcess(event: ProcessEvent): Incident | undefined {
    if (event.kind !== 'crashed') return undefined
    const { at, failure, culprit } = event
    this.#crash = failure
    return incident({ kind: 'crash', at, failure, trace: culprit, route: culprit && this.#routeOf(culprit) })
  }

  ofTask(event: TaskEvent): Incident | undefined {
    const { kind, taskId } = event
    switch (kind) {
      case 'spawned':
        this.#remember(taskId, {
          trace: event.origin,
          isStray: event.system === 'process' && UNCAUGHT.has(event.destination),
          ...(event.route ? { route: event.route } : {}),
        })
        return undefined
      case 'started':
        // It runs again, and may end anew.
        this.#told.delete(taskId)
        if (event.origin && !this.#open.has(taskId)) this.#remember(taskId, { trace: event.origin })
        return undefined
      case 'failed':
        return event.willRetry ? undefined : this.#ended('task_failed', event, event.failure)
      case 'lost':
        return this.#ended('task_lost', event, event.failure ?? { type: event.reason, message: '' })
      case 'succeeded':
      case 'cancelled':
        this.#open.delete(taskId)
        return undefined
      default:
        return undefined
    }
  }

  #ended(kind: Incident['kind'], { taskId, at }: TaskEvent, failure: TaskFailure): Incident | undefined {
    const spawner = this.#open.get(taskId)
    this.#open.delete(taskId)
    // The error that ends the process is told as the crash that it is.
    if (this.#told.has(taskId) || isSame(failure, this.#crash)) return undefined
    if (this.#told.size >= MOST_KNOWN) this.#told.delete(this.#told.keys().next().value!)
    this.#told.add(taskId)
    const trace = spawner?.trace ?? ownSpan(taskId)
    const found = incident({ kind, at, taskId, failure, trace, route: spawner?.route })
    if (spawner?.isStray) uncaught.add(found)
    return found
  }

  #remember(taskId: TaskId, spawner: Spawner): void {
    if (this.#open.size >= MOST_KNOWN) this.#open.delete(this.#open.keys().next().value!)
    this.#open.set(taskId, spawner)
  }
}

/** A copy that nobody can change: several may be told of it. */
export function incident({ kind, at, failure, trace, route, taskId, count, service, health }: Loose): Incident {
  return Object.freeze({
    kind,
    at,
    ...(trace ? { trace: Object.freeze({ ...trace }) } : {}),
    ...(route ? { route } : {}),
    ...(failure ? { failure: Object.freeze({ ...failure }) } : {}),
    ...(taskId ? { taskId } : {}),
    ...(count ? { count } : {}),
    ...(service ? { service } : {}),
    ...(health ? { health: Object.freeze({ ...health }) } : {}),
  })
}
type Loose = { readonly [K in keyof Incident]?: Incident[K] | undefined } & Pick<Incident, 'kind' | 'at'>

/** The id of a task is that of its trace and of the span that announced it. */
function ownSpan(taskId: TaskId): TraceRef {
  return { traceId: taskId.slice(0, 32), spanId: taskId.slice(32), sampled: true }
}

function isSame(one: TaskFailure, other: TaskFailure | undefined): boolean {
  return other?.type === one.type && other.message === one.message && other.stack === one.stack
}
