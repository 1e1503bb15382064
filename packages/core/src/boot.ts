// Configuration → providers → hooks → guard → services, in this order. Nothing here may throw into the app: `boot` says what is
// wrong and the app runs on.
import * as api from '@opentelemetry/api'
import * as otelCore from '@opentelemetry/core'
import * as instrumentation from '@opentelemetry/instrumentation'
import type { Tracer } from '@opentelemetry/api'
import { isMainThread } from 'node:worker_threads'
import { createAdminServer, type AdminSettings } from './admin/server.ts'
import { metricsRoute } from './admin/metrics-route.ts'
import { systemClock } from './clock.ts'
import { loadConfig, otlpSettings, type CoreConfig } from './config/config.ts'
import type { Core } from './core.ts'
import { say } from './diag.ts'
import { globalState } from './global-state.ts'
import { guardProcess } from './guard/guard.ts'
import type { Spool } from './guard/last-words.ts'
import { watchClients } from './http/client.ts'
import { createEffectiveCounter } from './http/effective.ts'
import { expressHook } from './http/express-route.ts'
import { watchServers } from './http/server.ts'
import { setGlobals } from './instrument/api-check.ts'
import { createModuleHooks } from './instrument/hooks.ts'
import { integrationHook } from './instrument/integration-hook.ts'
import { createMeterProvider } from './metrics/meter-provider.ts'
import { addProcessMetrics } from './metrics/process.ts'
import { createMetricRegistry } from './metrics/registry.ts'
import { AsyncContextManager } from './sdk/context-manager.ts'
import { createExporter } from './sdk/exporter.ts'
import { createOpenSpans } from './sdk/open-spans.ts'
import { createPropagator } from './sdk/propagator.ts'
import { describeResource, SDK_VERSION } from './sdk/resource.ts'
import { addSpanObserver } from './sdk/span-observers.ts'
import { createSampler, createTracerProvider } from './sdk/tracer-provider.ts'
import { createSideThread } from './side-thread/host.ts'
import { wakeWhenListening } from './side-thread/wake.ts'
import { createKit } from './tasks/kit.ts'
import { watchLeftovers } from './tasks/leftover.ts'
import { createRunTask } from './tasks/run-task.ts'

const SCOPE = { name: 'afterspan', version: SDK_VERSION }

/** Undefined where Afterspan is to do nothing. Once in a process; `preload-guard` sees to that. */
export function boot({ bundleDir }: { readonly bundleDir: string }): Core | undefined {
  try {
    return assemble(bundleDir, loadConfig())
  } catch (error) {
    say(
      'AFS_BOOT_FAILED',
      `Afterspan could not start: ${error instanceof Error ? error.message : String(error)}. The app runs without it.`,
    )
    return undefined
  }
}

function assemble(bundleDir: string, config: CoreConfig): Core {
  Object.assign(globalState().shared, {
    '@opentelemetry/api': api,
    '@opentelemetry/core': otelCore,
    '@opentelemetry/instrumentation': instrumentation,
  })
  const { now } = systemClock
  const resource = describeResource(config)
  const serviceName = String(resource['service.name'])
  const metrics = createMetricRegistry()
  const sampler = createSampler(config.sampler, config.samplerRatio)
  const exporter = createExporter(config, resource, metrics)
  const manager = new AsyncContextManager()
  const provider = createTracerProvider({ resource, sampler, limits: config.limits, deliver: exporter.deliver })
  const meterProvider = createMeterProvider(bundleDir, resource, metrics)
  setGlobals({ manager, meterProvider, propagator: createPropagator(config.propagators), tracerProvider: provider })

  const tracer = (): Tracer => provider.getTracer(SCOPE.name, SCOPE.version)
  const onError = (error: unknown): void => {
    say(
      'AFS_HOOK_FAILED',
      `an event could not be recorded: ${error instanceof Error ? error.message : String(error)}`,
      'kit',
    )
  }
  const openSpans = createOpenSpans()
  const leftovers = watchLeftovers(now)
  addSpanObserver(openSpans)
  addSpanObserver(leftovers)

  const admin = adminSettings(config)
  const sideThread = createSideThread({ bundleDir, admin, collect: metrics.collect })
  const hooks = createModuleHooks({ bundleDir, isMuted: () => false })
  const kit = createKit({ tracer, now, onError })
  let spool: Spool | undefined
  let hasSideServices = false

  return {
    serviceName,
    sdkVersion: SDK_VERSION,
    resource,
    otlp: otlpSettings(config),
    metrics,
    kit,
    clock: systemClock,
    addModuleHook: hooks.add,
    addIntegration(integration) {
      hooks.add(integrationHook(integration, kit))
    },
    sideService(service, onMessage) {
      hasSideServices = true
      return sideThread.service(service, onMessage)
    },
    wakeSideThread: sideThread.wake,
    deliver: exporter.deliverEncoded,
    setSpool(keep) {
      spool = keep
    },
    start() {
      const servers = watchServers({
        manager,
        sampler,
        limits: config.limits,
        metrics,
        effective: createEffectiveCounter(metrics),
        serviceName,
        ignorePaths: new Set(config.ignorePaths),
        traceResponse: config.traceResponse,
        flight: config.flight,
        deliver: (span) => {
          exporter.deliver(SCOPE, span)
        },
        requestStarted: sideThread.wake,
        requestEnded: leftovers.requestEnded,
      })
      watchClients(tracer)
      hooks.add(expressHook(servers.recordError))
      hooks.start()
      metrics.callback(hooks.status.collect)
      addProcessMetrics(metrics)
      Object.assign(globalState(), {
        runTask: createRunTask({ tracer, now, onError }),
        recordError: servers.recordError,
      })
      guardProcess({ config, exporter, servers, openSpans, sideThread, tracer, now, spool: () => spool })
      if (!isMainThread) return // one listener a process: the main thread's
      wakeWhenListening(hasSideServices ? sideThread.wake : listenHere(admin, metrics.collect))
    },
  }
}

function adminSettings(config: CoreConfig): AdminSettings {
  return {
    host: config.adminHost,
    port: config.adminPort,
    token: config.adminToken,
    hosts: config.allowedHosts,
    addressFile: config.adminAddressFile,
  }
}

/** Core alone has no side thread: its listener is on the main thread. */
function listenHere(admin: AdminSettings, collect: Parameters<typeof metricsRoute>[0]): () => void {
  let isUp = false
  return () => {
    if (isUp) return
    isUp = true
    const server = createAdminServer(admin, say)
    server.route(
      '/metrics',
      metricsRoute(collect, () => Promise.resolve([])),
    )
    server.start()
  }
}
