// Configuration → providers → hooks → guard → services, in this order. Nothing here may throw into the app: `boot` says what is
// wrong and the app runs on.
import * as api from '@opentelemetry/api'
import * as otelCore from '@opentelemetry/core'
import type { Tracer } from '@opentelemetry/api'
import type { Sampler } from '@opentelemetry/sdk-trace'
import { join } from 'node:path'
import { isMainThread } from 'node:worker_threads'
import { MetricsEndpoint } from './admin/metrics-endpoint.ts'
import { adminSettings } from './admin/settings.ts'
import { systemClock } from './clock.ts'
import { keepCode, keepCodeNow, requireKept } from './code-cache.ts'
import { loadConfig, otlpSettings, type CoreConfig } from './config/config.ts'
import type { FlightLog } from './contracts/flight-log.ts'
import type { HealthLog } from './contracts/health-log.ts'
import type { ModuleHook } from './contracts/module-hook.ts'
import type { ResourceAttributes } from './contracts/task.ts'
import type { Core } from './core.ts'
import { databaseHooks } from './databases/clients.ts'
import { say } from './diag.ts'
import { globalState } from './global-state.ts'
import { createDrain, type Drain } from './guard/drain.ts'
import { guardProcess } from './guard/guard.ts'
import { listenToProcess } from './guard/own-listeners.ts'
import type { LastSource } from './guard/last-words.ts'
import { createStake, type Stake } from './guard/stake.ts'
import { mountOnApp, type AppMount } from './http/app-mount.ts'
import { createHeldChildren, type HeldChildren } from './http/held-children.ts'
import { createInbound } from './http/inbound.ts'
import { watchOutgoing } from './http/outgoing.ts'
import { EffectiveCounter } from './http/effective.ts'
import { grpcHook } from './http/grpc-client.ts'
import { watchFrameworks } from './http/frameworks.ts'
import { watchRepeatedTimers } from './http/repeated-timers.ts'
import { nextRoutes } from './http/routes/next.ts'
import { watchServers } from './http/server.ts'
import { apiHook, setGlobals } from './instrument/api-check.ts'
import { createModuleHooks, type ModuleHooks } from './instrument/hooks.ts'
import { mutedBy } from './instrument/muted.ts'
import { watchNeighbours } from './instrument/neighbours.ts'
import { watchQueues } from './queues/queue-hooks.ts'
import * as requireHook from './instrument/require-hook.ts'
import { integrationHook } from './instrument/integration-hook.ts'
import { exportLogs } from './logs/export/start-logs.ts'
import { correlateLogs } from './logs/correlation.ts'
import { createMeterProvider } from './metrics/meter-provider.ts'
import { pushMetrics, type PushDeps } from './metrics/push/push.ts'
import { createMetricRegistry, type MetricRegistry } from './metrics/registry.ts'
import { addRuntimeMetrics } from './metrics/runtime.ts'
import { targetInfo } from './metrics/target-info.ts'
import { createReports, type Reports } from './reporters/reports.ts'
import { sentryHook } from './reporters/sentry.ts'
import { AsyncContextManager } from './sdk/context-manager.ts'
import { watchLeftContexts } from './sdk/left-contexts.ts'
import { createExporter, type Exporter } from './sdk/exporter.ts'
import { createOpenSpans } from './sdk/open-spans.ts'
import { setLogLevel } from './sdk/diag-logger.ts'
import { createPropagator, rarerHeaders } from './sdk/propagator.ts'
import { describeResource, SDK_VERSION } from './sdk/resource.ts'
import type { SpanData } from './sdk/span-data.ts'
import { addSpanObserver } from './sdk/span-observers.ts'
import { createSampler, createTracerProvider } from './sdk/tracer-provider.ts'
import { SideThread } from './side-thread/host.ts'
import { wakeWhenListening } from './side-thread/wake.ts'
import { createKit } from './tasks/kit.ts'
import { watchLeftovers } from './tasks/leftover.ts'
import { watchMessages } from './tasks/messages.ts'
import { createBeginWork } from './tasks/open-work.ts'
import { createTaskCalls } from './tasks/run-task.ts'

const SCOPE = { name: 'afterspan', version: SDK_VERSION }

/** Undefined where Afterspan is to do nothing. Once in a process; `preload-guard` sees to that. */
export function boot({ bundleDir }: { readonly bundleDir: string }): Core | undefined {
  try {
    const config = loadConfig()
    if (config.isDisabled) return undefined
    setLogLevel(config.logLevel)
    shareModules(bundleDir)
    return assemble(bundleDir, config)
  } catch (error) {
    say(
      'AFS_BOOT_FAILED',
      `Afterspan could not start: ${error instanceof Error ? error.message : String(error)}. The app runs without it.`,
    )
    return undefined
  }
}

function assemble(bundleDir: string, config: CoreConfig): Core {
  const resource = describeResource(config)
  const metrics = createMetricRegistry({ hasExemplars: config.hasExemplars })
  const sampler = createSampler(config.sampler, config.samplerRatio)
  const exporter = createExporter(config, resource, metrics)
  const manager = new AsyncContextManager()
  const unsampled = createHeldChildren(exporter)
  const provider = createTracerProvider({ sampler, limits: config.limits, deliver: exporter.deliver, unsampled })
  const { provider: meterProvider, meters } = createMeterProvider(bundleDir, resource, metrics, config.push)
  setGlobals({ manager, meterProvider, propagator: createPropagator(config.propagators), tracerProvider: provider })
  watchLeftContexts()
  const own = provider.getTracer(SCOPE.name, SCOPE.version)
  const tracer = (): Tracer => own
  const { endpoint, sideThread } = publishing(bundleDir, config, resource, metrics)
  const hooks = moduleHooks(bundleDir, config)
  const kitDeps = { tracer, now: systemClock.now, onError, overdueMs: config.overdueMs }
  const kit = createKit(kitDeps)
  const parts: Parts = {
    config,
    resource,
    serviceName: String(resource['service.name']),
    metrics,
    sampler,
    exporter,
    unsampled,
    manager,
    tracer,
    sideThread,
    endpoint,
    hooks,
    databases: databaseHooks(bundleDir, { tracer, metrics, longest: config.limits.valueLength }),
    drain: createDrain(config.drainMs, onError),
    lastSources: sending({ bundleDir, config, resource, metrics, meters, sideThread, exporter, hooks }),
  }
  const kept: Kept = {}
  return {
    serviceName: parts.serviceName,
    sdkVersion: SDK_VERSION,
    resource,
    otlp: otlpSettings(config),
    metrics,
    kit,
    clock: systemClock,
    beginWork: createBeginWork(kitDeps),
    addModuleHook: hooks.add,
    addIntegration(integration, carriesInData = true) {
      hooks.add(integrationHook(integration, { ...kit, carriesInData }, hooks.isMuted(integration.name)))
    },
    sideService: (service, onMessage) => sideThread.service(service, onMessage),
    wakeSideThread: () => sideThread.wake(),
    mountOnApp(routes) {
      kept.mount = mountOnApp(routes, config.adminToken, onError)
    },
    onDrain: parts.drain.onAsked,
    holdDrain: parts.drain.hold,
    deliver: exporter.deliverEncoded,
    ...keeping(kept, exporter),
    start: () => start(parts, kept),
  }
}

type Keeping = Pick<
  Core,
  'keepHealth' | 'report' | 'setFlightLog' | 'setHealthLog' | 'setSpool' | 'setUndelivered' | 'tell'
>

/** What the packages above tell, and where they keep what they are told. */
function keeping(kept: Kept, exporter: Exporter): Keeping {
  return {
    keepHealth: (change) => kept.healthLog?.add(change),
    report: (incident) => kept.reports?.add(incident),
    setFlightLog(log) {
      kept.flight = log
    },
    setHealthLog(log) {
      kept.healthLog = log
    },
    setSpool(spool) {
      exporter.queue?.keepIn(spool)
    },
    setUndelivered(undelivered) {
      exporter.queue?.leaveIn(undelivered)
    },
    tell(span) {
      exporter.deliver(SCOPE, span)
    },
  }
}

function moduleHooks(bundleDir: string, { instrumentations, doctorDir }: CoreConfig): ModuleHooks {
  const hooks = createModuleHooks({ bundleDir, isMuted: mutedBy(instrumentations), reportDir: doctorDir })
  watchQueues(bundleDir, hooks)
  watchRepeatedTimers()
  return hooks
}

/** The two threads' ways to the outside. */
function publishing(
  bundleDir: string,
  config: CoreConfig,
  resource: ResourceAttributes,
  metrics: MetricRegistry,
): Pick<Parts, 'endpoint' | 'sideThread'> {
  const admin = adminSettings(config)
  const endpoint: MetricsEndpoint = new MetricsEndpoint({
    admin,
    resource,
    registry: metrics,
    isShared: config.metrics && config.metricsShare === 'service',
    hasSideThread: () => sideThread.hasServices,
  })
  const sideThread = new SideThread({ bundleDir, admin, collect: metrics.collect, place: () => endpoint.place() })
  return { endpoint, sideThread }
}

/** What boot has made, and start needs. */
interface Parts {
  readonly config: CoreConfig
  readonly resource: ResourceAttributes
  readonly serviceName: string
  readonly metrics: MetricRegistry
  readonly sampler: Sampler
  readonly exporter: Exporter
  readonly unsampled: HeldChildren
  readonly manager: AsyncContextManager
  readonly tracer: () => Tracer
  readonly sideThread: SideThread
  readonly endpoint: MetricsEndpoint
  readonly hooks: ModuleHooks
  readonly databases: readonly ModuleHook[]
  readonly drain: Drain
  /** What is left of each signal at the end, and by others. */
  readonly lastSources: readonly LastSource[]
}

/** What the packages above may have given by then. */
interface Kept {
  flight?: FlightLog
  healthLog?: HealthLog
  reports?: Reports
  mount?: AppMount
}

/** Hooks modules, servers, signals and exits. */
function start(parts: Parts, kept: Kept): void {
  const { config, metrics, exporter, tracer, sideThread, endpoint, hooks } = parts
  const { now } = systemClock
  const openSpans = createOpenSpans()
  const leftovers = watchLeftovers(now, config.overdueMs)
  const stake = stakeOf(parts)
  const observers = [openSpans, nextRoutes, leftovers, watchMessages(now, SCOPE.name), stake]
  observers.forEach(addSpanObserver)
  const wake = (): void => {
    stake.has()
    sideThread.wake()
  }
  const deliver = (span: SpanData): boolean => exporter.deliver(SCOPE, span)
  const effective = new EffectiveCounter(metrics)
  const servers = watchServers({
    ...parts,
    limits: config.limits,
    effective,
    ignorePaths: new Set(config.ignorePaths),
    isMuted: hooks.isMuted('http'),
    mount: kept.mount,
    traceResponse: config.traceResponse,
    inbound: createInbound(config.inbound, rarerHeaders(config.propagators)),
    mostInferredRoutes: config.mostInferredRoutes,
    flight: config.flight ? kept.flight : undefined,
    deliver,
    write: () => exporter.queue?.write() ?? false,
    requestStarted: wake,
    requestEnded: leftovers.requestEnded,
  })
  if (!hooks.isMuted('http')) watchOutgoing(tracer, metrics, hooks, onError)
  watchFrameworks(servers, hooks, onError)
  watchNeighbours(hooks)
  // Databases behind the packages above: theirs are around what a client asks.
  for (const hook of [...parts.databases, apiHook(), grpcHook(tracer)]) hooks.add(hook)
  correlateLogs(config.logTrace, hooks)
  const { tellAll: tellReports, watch } = (kept.reports = startReports(metrics))
  if (config.sentry) hooks.add(sentryHook(watch))
  hooks.start()
  metrics.callback(hooks.status.collect)
  addRuntimeMetrics(metrics)
  metrics.callback(() => [targetInfo(parts.resource)])
  const calls = createTaskCalls({ tracer, now, onError, overdueMs: config.overdueMs })
  const { recordError } = servers
  Object.assign(globalState(), { ...calls, recordError, gatherMetrics: () => endpoint.gather() })
  const leaveMetrics = (): void => {
    effective.countAll()
    endpoint.leave()
  }
  guardProcess({ ...parts, openSpans, stake, now, deliver, leaveMetrics, tellReports, metrics })
  // One listener a process, the main thread's: what the app's worker threads count is told through it.
  wakeWhenListening(() => {
    stake.has()
    if (isMainThread && sideThread.hasServices) wake()
    else if (config.metrics) (isMainThread ? endpoint.listen : endpoint.join).call(endpoint)
    if (isMainThread) keepCode()
  })
  if (isMainThread) listenToProcess('exit', keepCodeAtEnd)
}

/** After the farewell. A start that ended badly is no model for the next. */
function keepCodeAtEnd(code: number): void {
  if (code === 0) keepCodeNow()
}

function stakeOf({ config }: Parts): Stake {
  const stake = createStake()
  // Metrics and logs that are sent wait to be sent from the start; spans are to come.
  if (config.push ?? config.logs) stake.has()
  return stake
}

/** Sends metrics and logs where that is asked for; what each signal has left at the end. */
function sending(
  deps: PushDeps & Pick<Parts, 'config' | 'exporter' | 'hooks'> & { readonly bundleDir: string },
): readonly LastSource[] {
  const { otlp } = deps.config
  const { queue } = deps.exporter
  const lastSpans: LastSource = (_, answerUntil) => {
    const taken = queue?.takeAll(answerUntil)
    return taken && { ...taken, settings: otlp }
  }
  const own = [lastSpans, pushMetrics(deps), exportLogs(deps)].filter((source) => source !== undefined)
  return [...own, leftByOthers(deps)]
}

/** What other processes have left. Asked after the process's own: one that has nothing to say itself is not held for others. */
function leftByOthers({ config, exporter }: Pick<Parts, 'config' | 'exporter'>): LastSource {
  return () => {
    const left = exporter.queue?.takeLeft()
    return left && { ...left, settings: config.otlp }
  }
}

function startReports(metrics: MetricRegistry): Reports {
  const reports = createReports(metrics, systemClock.now)
  const state = globalState()
  Object.assign(state, { watchReports: reports.watch, reportError: reports.handlerFailed })
  if (state.reportListeners?.size) reports.watch()
  return reports
}

/** The instrumentation bundles take the OpenTelemetry base from here: one copy of it in the process. What all of them stand on comes with the first. */
function shareModules(bundleDir: string): void {
  const { shared } = globalState()
  Object.assign(shared, {
    '@opentelemetry/api': api,
    '@opentelemetry/core': otelCore,
    'require-in-the-middle': requireHook,
  })
  Object.defineProperty(shared, '@opentelemetry/instrumentation', {
    configurable: true,
    enumerable: true,
    get: () => requireKept(join(bundleDir, 'otel-instrumentation.js')),
  })
}

function onError(error: unknown): void {
  say(
    'AFS_HOOK_FAILED',
    `an event could not be recorded: ${error instanceof Error ? error.message : String(error)}`,
    'kit',
  )
}
