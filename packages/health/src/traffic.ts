// What the app's own work meets when it uses a dependency: the evidence behind a change of health. Spans that the process makes anyway
// are looked at as they start and end; nothing is asked, and nothing is kept of a call that went well but who made it.
import { SpanKind, type Attributes, type Context } from '@opentelemetry/api'
import {
  activeRequest,
  LinkedList,
  type EpochMs,
  type HealthEvidence,
  type Links,
  type RequestRecord,
  type SpanData,
  type SpanObserver,
  type SpanScope,
  type TraceRef,
} from '@afterspan/core/internal'
import { SQLSTATE } from './codes.ts'
import { Endpoints } from './endpoints.ts'
import { Refusals, type Refusal, type RefusalNews } from './refusals.ts'

/** Calls that never end are forgotten, the oldest first. */
const MOST_OPEN = 2000
const MOST_FAILED = 16
/** Each kind of server, however many names the app's own spans have for one. */
const MOST_SYSTEMS = 50
const MOST_TOLD = 8
/** A call that went out so shortly before the last good answer may still be waiting for the trouble that came after it. */
const BEFORE_LAST_PASS_MS = 1000
const WAITS_MS = 250
/** Classes of SQLSTATE: connection, login, no such database, resources, locks, intervention, system, internal. */
const OF_THE_SERVER = /^(?:08|28|3D|53|55|57|58|XX)/

interface Call extends Links<Call> {
  readonly span: { readonly attributes: Attributes; spanContext(): { traceId: string; spanId: string } }
  readonly request: RequestRecord | undefined
  readonly startedAt: number
}
interface Failed {
  readonly trace: TraceRef
  readonly request: RequestRecord | undefined
  readonly at: number
  readonly error: string
  readonly message: string
}
interface System {
  readonly failed: Failed[]
  good: Call | undefined
  goodAt: number
  badAt: number
  readonly endpoints: Endpoints
  readonly refusals: Refusals
}

/** Why a status changed, as the engine sees it. */
export interface Question {
  /** What the probe calls the kind of its server: `postgresql`. */
  readonly component: string
  readonly isGood: boolean
  readonly code: string | undefined
  /** Nothing before it explains what is now. */
  readonly since: EpochMs | undefined
}

export class Traffic implements SpanObserver<Call | undefined> {
  readonly #now: () => EpochMs
  readonly #onTrouble: (component: string) => void
  readonly #open = new LinkedList<Call>()
  readonly #systems = new Map<string, System>()

  /** `onTrouble`: a call has failed by what may be the server's. */
  constructor(now: () => EpochMs, onTrouble: (component: string) => void = () => {}) {
    this.#now = now
    this.#onTrouble = onTrouble
  }

  onStart(span: Parameters<SpanObserver['onStart']>[0], parent: Context): Call | undefined {
    if (span.kind !== SpanKind.CLIENT && span.kind !== SpanKind.PRODUCER) return undefined
    if (this.#open.size >= MOST_OPEN) this.#open.remove(this.#open.first!)
    const request = activeRequest(parent)
    const call: Call = { span, request, startedAt: this.#now(), before: undefined, after: undefined, isIn: false }
    this.#open.add(call)
    return call
  }

  onEnd(data: SpanData, _scope: SpanScope, call: Call | undefined): void {
    if (!call) return
    this.#open.remove(call)
    const name = systemOf(data.attributes)
    const system = name === undefined ? undefined : this.#system(name)
    if (!system) return
    if (call.request) system.endpoints.add(call.request, data.endMs)
    if (data.status?.code !== 2) {
      system.good = call
      system.goodAt = data.endMs
      if (!system.refusals.isEmpty) system.refusals.wentWell(statementOf(data))
      return
    }
    const error = errorOf(data).slice(0, 100)
    system.refusals.failed(error, statementOf(data), data.endMs)
    const message = data.status.message ?? ''
    if (system.failed.length >= MOST_FAILED) system.failed.shift()
    const failed = { trace: refOf(call), request: call.request, at: data.endMs, error, message }
    system.failed.push(failed)
    if (!isOfDependency(failed, 'READONLY') && error !== '25006') return
    system.badAt = data.endMs
    this.#onTrouble(name!)
  }

  /** What shows the change, failed work first, then work that waits; each request once. */
  evidence({ component, isGood, code, since }: Question): HealthEvidence[] {
    const from = (since ?? 0) - BEFORE_LAST_PASS_MS
    const system = this.#systems.get(component)
    if (isGood) {
      const { good, goodAt } = system ?? { good: undefined, goodAt: 0 }
      return good && goodAt >= from ? [evidenceOf(refOf(good), good.request)] : []
    }
    const failed = (system?.failed ?? [])
      .filter((call) => call.at >= from && isOfDependency(call, code))
      .toReversed()
      .map((call) => evidenceOf(call.trace, call.request, { error: call.error }))
    return onceEach([...failed, ...this.#waiting(component, from)]).slice(0, MOST_TOLD)
  }

  /** Calls have gone well in the last `withinMs`, none has failed by the server in that time, and none waits. */
  isWell(component: string, withinMs: number): boolean {
    const system = this.#systems.get(component)
    const from = this.#now() - withinMs
    if (!system || system.goodAt < from || system.badAt >= from) return false
    return this.#waiting(component, 0).length === 0
  }

  /** Of a client without spans of its own. */
  refusals(component: string): RefusalNews {
    const known = (): Refusals | undefined => this.#systems.get(component)?.refusals
    return {
      isAwaited: () => known()?.isEmpty === false,
      wentWell: (statement) => known()?.wentWell(statement),
      refused: (code, statement) => {
        const isKept = this.#system(component)?.refusals.failed(code, statement, this.#now())
        if (isKept || code === '25006' || !SQLSTATE.test(code) || OF_THE_SERVER.test(code)) this.#onTrouble(component)
      },
    }
  }

  /** What the server has refused to the app lately, though it may answer. */
  refusal(component: string): Refusal | undefined {
    return this.#systems.get(component)?.refusals.lately(this.#now())
  }

  /** Endpoints whose requests have used that kind of server lately. */
  endpoints(component: string): string[] {
    return this.#systems.get(component)?.endpoints.told(this.#now()) ?? []
  }

  #waiting(component: string, from: number): HealthEvidence[] {
    const now = this.#now()
    const found: HealthEvidence[] = []
    for (let call = this.#open.first; call; call = call.after) {
      const waitingMs = Math.round(now - call.startedAt)
      if (call.startedAt < from || waitingMs < WAITS_MS || systemOf(call.span.attributes) !== component) continue
      found.push(evidenceOf(refOf(call), call.request, { waitingMs }))
      // Several calls of one request are one piece of evidence.
      if (found.length >= 4 * MOST_TOLD) break
    }
    return found
  }

  #system(name: string): System | undefined {
    let system = this.#systems.get(name)
    if (system || this.#systems.size >= MOST_SYSTEMS) return system
    system = { failed: [], good: undefined, goodAt: 0, badAt: 0, endpoints: new Endpoints(), refusals: new Refusals() }
    this.#systems.set(name, system)
    return system
  }
}

/** Instrumentations tell an exception's code as its type, that of pg as the end of its message. */
function errorOf({ attributes, events }: SpanData): string {
  const thrown = events?.find(({ name }) => name === 'exception')?.attributes
  const ofPg = /\(code: (\w{1,40})\)$/.exec(textOf(thrown?.['exception.message'])?.slice(-60) ?? '')?.[1]
  return (
    textOf(attributes['db.response.status_code']) ??
    textOf(attributes['error.type']) ??
    textOf(thrown?.['exception.type']) ??
    ofPg ??
    '_OTHER'
  )
}

function statementOf({ attributes }: SpanData): string | undefined {
  return textOf(attributes['db.query.text'] ?? attributes['db.statement'])
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** The kind of server that a span speaks to, in the words that probes use. */
function systemOf(attributes: Attributes): string | undefined {
  const name = attributes['db.system.name'] ?? attributes['db.system'] ?? attributes['messaging.system']
  if (typeof name === 'string') return name === 'mariadb' ? 'mysql' : name
  return typeof attributes['rpc.system'] === 'string' ? 'grpc' : attributes['http.request.method'] ? 'http' : undefined
}

/** A statement that the server refuses because it is wrong says nothing of the server. */
function isOfDependency({ error, message }: Failed, code: string | undefined): boolean {
  if (code !== undefined && (error === code || message.startsWith(code))) return true
  if (SQLSTATE.test(error)) return OF_THE_SERVER.test(error)
  return !/^(?:ERR |WRONGTYPE|NOSCRIPT|E11000 |Document failed validation)/.test(message)
}

function evidenceOf(
  ref: TraceRef,
  request: RequestRecord | undefined,
  more: Pick<HealthEvidence, 'error' | 'waitingMs'> = {},
): HealthEvidence {
  const route = request?.route
  return { trace: ref, ...(route === undefined ? {} : { route }), ...more }
}

/** The request's own span; of work without one, that of the call. */
function refOf({ request, span }: Call): TraceRef {
  if (request) return request.ref
  const { traceId, spanId } = span.spanContext()
  return { traceId, spanId, sampled: true }
}

function onceEach(all: readonly HealthEvidence[]): HealthEvidence[] {
  const known = new Set<string>()
  return all.filter(({ trace: { spanId } }) => !known.has(spanId) && known.add(spanId))
}
