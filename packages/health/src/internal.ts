// The main thread's half of health: what the preload boots.
import { AsyncLocalStorage } from 'node:async_hooks'
import { join } from 'node:path'
import { isMainThread } from 'node:worker_threads'
import {
  addSpanObserver,
  globalState,
  once,
  say,
  sayAgain,
  withoutTracing,
  type AdminHandler,
  type Core,
  type HealthProbe,
  type HealthView,
} from '@afterspan/core/internal'
import { clientHooks } from './client-hooks.ts'
import { hasQuorum } from './fleet.ts'
import { mountOnGrpc } from './grpc-mount.ts'
import { tellListeners } from './listeners.ts'
import { madeBy } from './made-at.ts'
import { createHealthMetrics } from './metrics.ts'
import { healthSettings, type HealthSettings } from './options.ts'
import { ownProbes } from './own-probes.ts'
import { Quorum } from './quorum.ts'
import { Registry, type FoundProbe } from './registry.ts'
import type { RefusalNews } from './refusals.ts'
import { Scheduler } from './scheduler.ts'
import type { HealthSideData, HealthSnapshot } from './snapshot.ts'
import { mountRoutes } from './routes.ts'
import { createTelling } from './telling.ts'
import { Traffic } from './traffic.ts'
import { nodeTimer, type Timer } from './timer.ts'

export { healthOptions } from './options.ts'
export { Traffic } from './traffic.ts'

/** A process that lives this long gets the probes of itself. */
const OWN_PROBES_AFTER_MS = 2000

/**
 * Starts the main half of health: finds clients as they are made, takes over the probes that were registered before, runs them and posts
 * what they say to the side thread. Until the first probe exists it only waits; nothing of it keeps the process alive. A worker thread of
 * the app has no listener, so there it does nothing.
 */
export function bootHealth(core: Core, { bundleDir }: { readonly bundleDir: string }): void {
  if (!isMainThread) return
  const settings = healthSettings()
  // Clients are made in the middle of requests: nothing of a request may stay with the rounds that follow.
  const detached = AsyncLocalStorage.snapshot()
  const timer = nodeTimer(detached, onError)
  const data = sideData(core, settings)
  const show = showOnServers(core, data, { bundleDir, settings, snapshot: () => registry.snapshot() })
  const link = core.sideService({ name: 'health', entry: join(bundleDir, 'side-health.js'), data }, () => {
    link.post(registry.snapshot())
  })
  const onTrouble = (component: string): void => suspect(registry, component)
  const traffic = new Traffic(core.clock.now, onTrouble)
  const registry = new Registry({
    clock: core.clock,
    timer,
    scheduler: new Scheduler({
      clock: core.clock,
      timer,
      onError,
      isolate: (fn) => detached(() => withoutTracing(fn)),
    }),
    metrics: () => createHealthMetrics(core.metrics),
    settings,
    publish: (snapshot) => {
      link.post(snapshot)
      show(snapshot)
      quorum?.look()
    },
    onFirst: () => {
      // Nobody's spans are looked at before there is a check that they could explain.
      addSpanObserver(traffic)
      timer.after(0, addOwnProbes)
    },
    onChange: telling(core, traffic),
    isSeenWell: (component, withinMs) => settings.passive && traffic.isWell(component, withinMs),
    refusal: (component) => (settings.passive ? traffic.refusal(component) : undefined),
    endpoints: (component) => traffic.endpoints(component),
    onRejected,
  })
  const quorum = hasQuorum(settings.shared) ? voteOn(registry, core, timer) : undefined
  show(registry.snapshot())
  core.onDrain(() => {
    registry.drain()
  })
  const add: Add = (probe, madeAt) => detached(() => addTo(registry, core, probe, madeAt))
  // These wake nobody: a tool that runs for a while needs no listener.
  const addOwnProbes = once(() => {
    detached(() => {
      for (const probe of ownProbes(settings)) registry.register(probe)
    })
  })

  const refusals = (component: string): RefusalNews => traffic.refusals(component)
  for (const hook of clientHooks(bundleDir, { add, clock: core.clock, onRejected, refusals, onTrouble, settings }))
    core.addModuleHook(hook)
  takeOver(add)
  timer.after(OWN_PROBES_AFTER_MS, addOwnProbes)
}

/** In what the app does: a span of its ends here, or its driver emits an event. */
function suspect(registry: Registry, component: string): void {
  try {
    registry.suspect(component)
  } catch (error) {
    onError(error)
  }
}

type Add = (probe: HealthProbe | FoundProbe, madeAt: string | undefined) => () => void

function addTo(registry: Registry, core: Core, ...[probe, madeAt]: Parameters<Add>): () => void {
  const remove = registry.register(probe, madeAt)
  core.wakeSideThread()
  return remove
}

/** Asks the other instances of the service, and is asked by them. */
function voteOn(registry: Registry, { clock, serviceName: service }: Core, timer: Timer): Quorum {
  const cast = (): ReturnType<ConstructorParameters<typeof Quorum>[0]['cast']> => {
    const { castVote } = globalState()
    if (!castVote)
      say(
        'AFS_CONFIG_INVALID',
        'AFTERSPAN_HEALTH_SHARED=quorum needs AFTERSPAN_LEDGER_URL, a ledger that the instances share. Until then it is closed.',
        'AFTERSPAN_HEALTH_SHARED',
      )
    return castVote
  }
  const view = (): HealthView => registry.view()
  const onShared = (names: ReadonlySet<string>): void => registry.share(names)
  return new Quorum({ clock, timer, service, view, cast, onShared, onError })
}

function telling(core: Core, traffic: Traffic): ReturnType<typeof createTelling> {
  return createTelling({
    core,
    evidence: (question) => traffic.evidence(question),
    say: (text) => {
      sayAgain('AFS_HEALTH_CHANGED', text)
    },
    listeners: (change) => {
      tellListeners(change, onListenerError)
    },
  })
}

/** On servers of the app itself, as far as it wants that. */
function showOnServers(
  core: Core,
  data: HealthSideData,
  given: { readonly bundleDir: string; readonly settings: HealthSettings; readonly snapshot: () => HealthSnapshot },
): (snapshot: HealthSnapshot) => void {
  const isOnAll = given.settings.mount === 'app'
  const showOnHttp = isOnAll ? mountOnApp(core, data) : undefined
  const showOnGrpc = mountOnGrpc(core, { ...given, isOnAll, onError })
  return (snapshot) => {
    showOnHttp?.(snapshot)
    showOnGrpc()
  }
}

/** The same replies from the main thread, which by answering shows that it is not silent. */
function mountOnApp(core: Core, data: HealthSideData): (snapshot: HealthSnapshot) => void {
  const routes = new Map<string, AdminHandler>()
  const take = mountRoutes(
    {
      clock: core.clock,
      isMain: true,
      mainSilentMs: () => 0,
      route: (path, handle) => {
        // Below /health an app may well have paths of its own.
        if (path !== '/health/') routes.set(path, handle)
      },
    },
    data,
  )
  core.mountOnApp(routes)
  return take
}

function onRejected(why: string): void {
  say('AFS_PROBE_REJECTED', `a health probe was left out: ${why}.`, why)
}

function onListenerError(error: unknown): void {
  const why = error instanceof Error ? error.message : String(error)
  say('AFS_HEALTH_LISTENER', `a listener of health.onChange() failed: ${why}. The others were told.`, 'listener')
}

/** An error of health itself: said, never thrown into the app. */
function onError(error: unknown): void {
  say('AFS_BOOT_FAILED', `health: ${error instanceof Error ? error.message : String(error)}`, 'health')
}

function sideData(core: Core, settings: HealthSettings): HealthSideData {
  return {
    serviceName: core.serviceName,
    everyMs: settings.intervalMs,
    stallMs: settings.stallMs,
    ...(settings.format === 'health' ? {} : { format: settings.format }),
  }
}

/** From now on registerProbe() comes here, with what was registered before. */
function takeOver(add: (probe: HealthProbe, madeAt: string | undefined) => () => void): void {
  const state = globalState()
  const safely = (probe: HealthProbe, madeAt?: string): (() => void) => {
    try {
      return add(probe, madeAt)
    } catch (error) {
      onError(error)
      return () => {}
    }
  }
  const register = (probe: HealthProbe): (() => void) => {
    return safely(probe, madeBy(register, /\bregisterProbe \(/).at)
  }
  state.registerProbe = register
  for (const probe of state.waitingProbes.splice(0)) safely(probe)
}
