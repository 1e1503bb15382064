import type { FlightLog } from './contracts/flight-log.ts'
import type { HealthChange } from './contracts/probe.ts'
import type { HealthLog } from './contracts/health-log.ts'
import type { Integration, TaskKit } from './contracts/integration.ts'
import type { ModuleHook } from './contracts/module-hook.ts'
import type { AdminHandler, Clock, SideService } from './contracts/service.ts'
import type { SpanSpool } from './contracts/span-spool.ts'
import type { Undelivered } from './contracts/undelivered.ts'
import type { Incident } from './contracts/reporter.ts'
import type { MetricRegistry } from './metrics/registry.ts'
import type { EncodedSpan, ResourceAttributes } from './contracts/task.ts'
import type { SpanData } from './sdk/span-data.ts'
import type { OtlpSettings } from './sdk/otlp/settings.ts'
import type { BeginWork } from './tasks/open-work.ts'

/** What core's boot gives to the packages above it. One per process. */
export interface Core {
  readonly serviceName: string
  readonly sdkVersion: string
  /** For the journal, and for spans that others tell in this process's name. */
  readonly resource: ResourceAttributes
  /** Where spans go; undefined where OTEL_TRACES_EXPORTER does not name otlp. Plain data: it may cross threads. */
  readonly otlp: OtlpSettings | undefined
  readonly metrics: MetricRegistry
  readonly kit: TaskKit
  readonly clock: Clock
  /** Begins work of the active request or task whose end is told later. */
  readonly beginWork: BeginWork
  addModuleHook(hook: ModuleHook): void
  /** `carriesInData` as in TaskKit. */
  addIntegration(integration: Integration, carriesInData?: boolean): void
  /** Names a service for the side thread, before start(). */
  sideService(service: SideService, onMessage?: (message: unknown) => void): SideLink
  /** Asks that the side thread be up soon: there is something to do. Called by the first request, task or probe; cheap when called again. */
  wakeSideThread(): void
  /** Serves paths on the app's own HTTP servers too, to GET and HEAD: no span, no metric, details for the token alone. Before start(). */
  mountOnApp(routes: ReadonlyMap<string, AdminHandler>): void
  /** SIGTERM has come, whoever handles it: no more requests are wanted. Called before every handler. */
  onDrain(listener: () => void): void
  /** Work that SIGTERM waits for within its bound, where it ends the process. The returned function says that it is over. */
  holdDrain(work: object): () => void
  /** Exports a span that could not be put into the journal after all. */
  deliver(span: EncodedSpan): void
  /** Exports a span of Afterspan's own that no tracer made. */
  tell(span: SpanData): void
  /** Tells an incident to who asked for them; before start() to nobody. */
  report(incident: Incident): void
  /** Keeps a change of health, where there is a place for it. */
  keepHealth(change: HealthChange): void
  setHealthLog(log: HealthLog): void
  /** Where requests in flight are noted. Without one they are not. */
  setFlightLog(log: FlightLog): void
  /** Where spans are kept until a collector has them. Without one they are in memory alone. */
  setSpool(spool: SpanSpool): void
  /** Where what cannot be delivered is left to the next process, where there is no spool. */
  setUndelivered(undelivered: Undelivered): void
  /** Hooks modules, servers, signals and exits. Everything above must have been added by then. */
  start(): void
}

export interface SideLink {
  /** Plain data to the service's half on the side thread; kept in order, held until the thread is up. */
  post(message: unknown): void
}
