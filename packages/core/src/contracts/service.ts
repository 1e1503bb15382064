import type { EpochMs } from './task.ts'

/** stop() may be called twice, or without start(). Both are harmless. */
export interface Service {
  readonly name: string
  start(): Promise<void>
  stop(): Promise<void>
}

export interface Clock {
  now(): EpochMs
  monotonicMs(): number
  /** Ticks never overlap; the returned function ends them. Timers are unref'd. */
  every(ms: number, tick: () => Promise<unknown>): () => void
}

/** A service that runs on the side thread: it crosses as a path and plain data, never as a function. The file exports `start(host, data)`. */
export interface SideService {
  readonly name: string
  readonly entry: string
  readonly data: unknown
}

/** What `start` gets on the side thread. */
/** A session of the inspector with the main thread: what it asks is done also in the middle of a loop that never turns. */
export interface MainSession {
  /** Rejects with what the inspector says. In native code nothing is answered before it returns. */
  post(method: string, params?: object): Promise<unknown>
  /** What the work comes to; 'late' after so many ms, 'left' when the process is leaving: then the session has to end. */
  within<T>(work: Promise<T>, ms: number): Promise<T | 'late' | 'left'>
}
export interface SideHost {
  /** Mounts a GET/HEAD handler on the admin listener. A path that ends in '/' is a prefix. */
  route(path: string, handle: AdminHandler): void
  /** Families that /metrics appends to those of the main thread. */
  metrics(collect: () => Promise<readonly MetricFamily[]> | readonly MetricFamily[]): void
  /** To this service's half on the main thread. Plain data only. */
  post(message: unknown): void
  onMessage(handle: (message: unknown) => void): void
  /** Coded lines on stderr, rate-limited, written synchronously. */
  say(code: string, message: string): void
  readonly clock: Clock
  /** How long the main thread has shown no sign of life, in ms; 0 while it is well, and always where the service runs on the main thread itself. */
  mainSilentMs(): number
  /** A session of the inspector with the main thread, for as long as `use` takes. Undefined where there is none, another is open, or the process is leaving. Never rejects. */
  inspectMain<T>(use: (session: MainSession) => Promise<T | undefined>): Promise<T | undefined>
}
export interface SideModule {
  start(host: SideHost, data: unknown): Promise<{ stop(): Promise<void> }>
}

export interface AdminRequest {
  readonly method: 'GET' | 'HEAD' | 'POST'
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: Readonly<Record<string, string | undefined>>
  /** By loopback socket (and no forwarding header), or by the token. Without it: names and statuses only. */
  readonly trusted: boolean
}
export interface AdminReply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: string | Uint8Array
}
export type AdminHandler = (request: AdminRequest) => AdminReply | Promise<AdminReply>

// ---- metrics as plain data: they cross threads and processes ----
export interface MetricSample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
  /** Of counters alone. */
  readonly exemplar?: Exemplar
}
export interface Exemplar {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
  readonly at: EpochMs
}
export interface HistogramSample {
  readonly labels: Readonly<Record<string, string>>
  /** Upper bounds, ascending, without +Inf. */
  readonly bounds: readonly number[]
  /** One more than bounds; not cumulative. */
  readonly counts: readonly number[]
  readonly sum: number
  readonly count: number
  /** By bucket index. */
  readonly exemplars?: readonly (Exemplar | undefined)[]
}
/**
 * What several processes of one service say together: their `sum` (counters and histograms, if nothing else is said), `each` for
 * itself under its pid (gauges), or `one` value that all of them read from the same place: the largest.
 */
export type Across = 'each' | 'one' | 'sum'
interface FamilyHead {
  /** Without the `_total` of counters and the `_info` of infos. */
  readonly name: string
  readonly help: string
  /** As Prometheus spells it: seconds, bytes. */
  readonly unit?: string
  readonly across?: Across
}
export type MetricFamily =
  | (FamilyHead & {
      readonly type: 'counter' | 'gauge' | 'info'
      readonly samples: readonly MetricSample[]
    })
  | (FamilyHead & {
      readonly type: 'histogram'
      readonly samples: readonly HistogramSample[]
    })
