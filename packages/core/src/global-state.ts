// The only process-wide state of Afterspan. Two copies of our code in one process (bundle and library, CommonJS and ESM)
// meet here, so it holds plain values and functions, and changes only by addition.
import type { KeptCode } from './kept-code.ts'
import type { Collected } from './metrics/collector.ts'
import type { BeginTask } from './tasks/begin-task.ts'
import type { TaskScope, TaskOptions } from './tasks/scope.ts'
import type { HealthView, HealthVote } from './contracts/health-vote.ts'
import type { HealthChange, HealthProbe } from './contracts/probe.ts'
import type { Incident } from './contracts/reporter.ts'
import type { Receipt, TaskFailure } from './contracts/task.ts'

export interface AfterspanState {
  /** Set by the first preload; a second one stays out. */
  booted: boolean
  /** Why the preload did nothing, where that is so. */
  inert?: string
  /** Set by core's boot. */
  runTask?: <R>(name: string, fn: (scope: TaskScope) => R, options?: TaskOptions) => R
  /** Set by core's boot. */
  beginTask?: BeginTask
  /** Puts what a handler threw on the SERVER span of its request. */
  recordError?: (request: unknown, error: unknown) => void
  /** Set by core's boot: the metrics of all processes of this service on this host. */
  gatherMetrics?: () => Promise<Collected>
  /** Set by async-tracker's boot: the folder of journals and ledger, made with the first thing to be kept. */
  ledgerDir?: string
  /** Set by async-tracker's boot: leaves this instance's view in the ledger and returns those of the others; undefined where it cannot. */
  castVote?: (vote: HealthVote) => Promise<readonly HealthView[] | undefined>
  /** Set by async-tracker's boot. */
  receipt?: (traceId: string) => Promise<Receipt>
  /** Set by health's boot; probes registered before it wait in `waitingProbes`. */
  registerProbe?: (probe: HealthProbe) => () => void
  waitingProbes: HealthProbe[]
  /** Set by health's boot: serves grpc.health.v1 on a server of @grpc/grpc-js. */
  serveGrpcHealth?: (server: object) => void
  /** What the app wants to be told of, and which checks it counts together, by the name of the group. Read by health when it changes. */
  healthListeners?: Set<(change: HealthChange) => unknown>
  healthGroups?: Map<string, Set<string>>
  /** What the app wants to be told of incidents; and, set by core's boot, what looks for them from now on, and what hears what a handler threw. */
  reportListeners?: Set<(incident: Incident) => unknown>
  watchReports?: () => void
  /** Set by core's boot: takes our handlers of signals away until the event loop turns. */
  releaseSignals?: () => void
  reportError?: (request: unknown, failure: TaskFailure) => void
  /** Set by the register, and by the side thread's entry: V8's code of our bundles, kept between starts. */
  code?: KeptCode
  /** Node's own, before the app could replace them. */
  globals?: Pick<
    typeof globalThis,
    | 'process'
    | 'setTimeout'
    | 'setInterval'
    | 'setImmediate'
    | 'clearTimeout'
    | 'clearInterval'
    | 'clearImmediate'
    | 'queueMicrotask'
    | 'performance'
  >
  /** OpenTelemetry modules that the instrumentation bundles share with the preload bundle, by package name. */
  shared: Record<string, unknown>
}

const KEY = Symbol.for('afterspan/1')

export function globalState(): AfterspanState {
  const holder = globalThis as { [KEY]?: AfterspanState }
  return (holder[KEY] ??= { booted: false, waitingProbes: [], shared: {} })
}
