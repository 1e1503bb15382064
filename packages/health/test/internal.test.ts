import { AsyncLocalStorage } from 'node:async_hooks'
import { context, ROOT_CONTEXT, type Context, type ContextManager } from '@opentelemetry/api'
import {
  createMetricRegistry,
  globalState,
  type Core,
  type EpochMs,
  type HealthProbe,
  type ModuleHook,
  type SideService,
} from '@afterspan/core/internal'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { registerProbe } from '../src/index.ts'
import { CLIENT_PROBES } from '../src/client-hooks.ts'
import { bootHealth, healthOptions } from '../src/internal.ts'
import type { HealthSnapshot } from '../src/snapshot.ts'

let hooks: ModuleHook[]
let services: SideService[]
let askMain: (message: unknown) => void
let posted: HealthSnapshot[]
let wakes: number

beforeEach(() => {
  vi.useFakeTimers()
  hooks = []
  services = []
  posted = []
  wakes = 0
})
afterEach(() => {
  vi.useRealTimers()
  delete globalState().registerProbe
  context.disable()
})

function boot(): void {
  const core = {
    serviceName: 'shop',
    metrics: createMetricRegistry(),
    clock: {
      now: () => Date.now() as EpochMs,
      monotonicMs: () => performance.now(),
      every: (ms: number, tick: () => Promise<void>) => {
        const timer = setInterval(() => void tick(), ms)
        return () => clearInterval(timer)
      },
    },
    addModuleHook: (hook: ModuleHook) => hooks.push(hook),
    sideService: (service: SideService, onMessage: (message: unknown) => void) => {
      services.push(service)
      askMain = onMessage
      return { post: (message: unknown) => posted.push(message as HealthSnapshot) }
    },
    wakeSideThread: () => wakes++,
    onDrain: () => {},
  }
  bootHealth(core as unknown as Core, { bundleDir: '/bundles' })
}

function probe(check: HealthProbe['check'] = async () => ({ status: 'pass' })): HealthProbe {
  return { name: 'db', component: 'db', criticality: 'required', check }
}

const names = (): string[] => posted.at(-1)?.checks.map((check) => check.name) ?? []

/** Without a ledger there is no disk to look at. */
const OWN = ['event-loop', 'file-descriptors', 'memory', 'thread-pool', 'requests', 'clock']

test('boot names the side service and the modules to look at, and waits', async () => {
  boot()
  expect(services).toEqual([
    {
      name: 'health',
      entry: '/bundles/side-health.js',
      data: { serviceName: 'shop', everyMs: 2000, stallMs: 30_000 },
    },
  ])
  expect(() => structuredClone(services[0]!.data)).not.toThrow()
  expect(hooks.map((hook) => hook.module)).toEqual(CLIENT_PROBES.map((each) => each.module))
  expect([vi.getTimerCount(), wakes, posted.length]).toEqual([1, 0, 0])
})

test('a process that lives on gets the probes of itself, and nobody is woken for them', async () => {
  boot()
  await vi.advanceTimersByTimeAsync(2200)
  expect(names()).toEqual(OWN)
  expect(wakes).toBe(0)
})

test('the first probe wakes the side thread, and brings those of the process with it', async () => {
  boot()
  registerProbe(probe())
  expect(wakes).toBe(1)
  await vi.advanceTimersByTimeAsync(200)
  expect(names()).toEqual(['db', ...OWN])
  expect(posted.at(-1)!.checks[0]).toMatchObject({
    status: 'pass',
    madeAt: expect.stringMatching(/test\/internal\.test\.ts:\d+$/),
  })
  expect(() => structuredClone(posted.at(-1))).not.toThrow()
})

test('probes that were registered before are taken over, and can still be taken back', async () => {
  const remove = registerProbe(probe())
  expect(globalState().waitingProbes).toHaveLength(1)
  boot()
  expect([globalState().waitingProbes.length, wakes]).toEqual([0, 1])
  await vi.advanceTimersByTimeAsync(200)
  expect(names()).toContain('db')
  remove()
  await vi.advanceTimersByTimeAsync(200)
  expect(names()).not.toContain('db')
})

test('an object that cannot even be read is no error of the app', () => {
  boot()
  const evil = { ...probe() }
  Object.defineProperty(evil, 'name', {
    get() {
      throw new Error('no')
    },
  })
  expect(() => registerProbe(evil)()).not.toThrow()
})

test('the side thread gets a snapshot when it asks for one', () => {
  boot()
  askMain('snapshot, please')
  expect(posted).toMatchObject([{ checks: [], started: true, everyMs: 2000 }])
})

test('a check runs without tracing, and in no context of the request in which its client was made', async () => {
  const store = new AsyncLocalStorage<string>()
  const key = Symbol('span')
  context.setGlobalContextManager(contextManager())
  boot()
  const seen: unknown[] = []
  const check = async () => {
    // withoutTracing leaves a mark of its own on the root context.
    seen.push([store.getStore(), context.active().getValue(key), context.active() === ROOT_CONTEXT])
    return { status: 'pass' } as const
  }
  store.run('request', () =>
    context.with(ROOT_CONTEXT.setValue(key, 'span'), () => {
      registerProbe(probe(check))
    }),
  )
  await vi.advanceTimersByTimeAsync(2200)
  expect(seen).toEqual([
    [undefined, undefined, false],
    [undefined, undefined, false],
  ])
})

test('each option is one of health', () => {
  for (const { env } of Object.values(healthOptions)) expect(env).toMatch(/^AFTERSPAN_HEALTH_[A-Z_]+$/)
})

function contextManager(): ContextManager {
  const storage = new AsyncLocalStorage<Context>()
  return {
    active: () => storage.getStore() ?? ROOT_CONTEXT,
    with: (active, fn, thisArg, ...args) => storage.run(active, () => fn.apply(thisArg as never, args)),
    bind: (_context, target) => target,
    enable() {
      return this
    },
    disable() {
      return this
    },
  }
}
