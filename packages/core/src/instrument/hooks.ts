// One mechanism for CommonJS and ESM from one preload. CommonJS goes through what stands in for require-in-the-middle, ESM through
// import-in-the-middle's in-thread hooks.
import type { ModuleHook } from '../contracts/module-hook.ts'
import { say } from '../diag.ts'
import { watchFetch } from './fetch-instrumentation.ts'
import { createHookedPackages, type Patch } from './hooked-packages.ts'
import { hookLoaders } from './loader-hooks.ts'
import { createUnseen } from './unseen-imports.ts'
import { reportLoading } from './loading-report.ts'
import { packageFile } from './package-file.ts'
import { Hook, loadedPackages, watchPackages } from './require-hook.ts'
import { createInstrumentationStatus } from './status.ts'
import { inRange } from './version-range.ts'

export interface ModuleHooks {
  /** Before start() only: the ESM hooks take their list of modules then. */
  add(hook: ModuleHook): void
  start(): void
  /** `run` is called once, when somebody is about to load one of these: for Node's own modules, which no hook sees. Before start() only; it makes each require slower. */
  whenAsked(specifiers: readonly string[], run: () => void): void
  /** `run` hears of the files of a package before they are loaded: `build/src/register.js`. For packages of which nothing is patched, and for `node:…`, which any load of it tells. Before start() only. */
  whenLoaded(name: string, run: (file: string) => void): void
  /** Named in OTEL_NODE_DISABLED_INSTRUMENTATIONS, or not in the list of those that are enabled. */
  readonly isMuted: (instrumentation: string) => boolean
  readonly status: ReturnType<typeof createInstrumentationStatus>
}
export function createModuleHooks(options: {
  readonly bundleDir: string
  readonly isMuted: (instrumentation: string) => boolean
  /** Where `afterspan doctor` reads what was loaded; '' for nowhere. */
  readonly reportDir: string
}): ModuleHooks {
  const hooks: ModuleHook[] = []
  const asked = new Map<string, () => void>()
  const loads = new Map<string, (file: string) => void>()
  const status = createInstrumentationStatus()
  return {
    status,
    isMuted: options.isMuted,
    add(hook) {
      hooks.push(hook)
    },
    whenAsked(specifiers, run) {
      for (const specifier of specifiers) asked.set(specifier, run)
    },
    whenLoaded(name, run) {
      loads.set(name, run)
    },
    start() {
      const active = hooks.filter((hook) => !options.isMuted(hook.name))
      const patched = active.map((hook) => [hook, patchOf(hook, status, onError(hook.name))] as const)
      const packages = createHookedPackages(patched)
      const { modules } = packages
      const report = options.reportDir === '' ? undefined : reportLoading(options.reportDir, modules, status)
      const onSpecifier = (specifier: string): void => {
        report?.(specifier)
        const run = asked.get(specifier)
        if (run) guarded(asked, run, onError(specifier))
      }
      if (!options.isMuted('undici')) watchFetch(options.bundleDir, onError('undici'))
      watchPackages(modules)
      tellTooEarly(status)
      new Hook(null, { internals: true }, packages.loaded)
      hookLoaders([...modules, ...active.flatMap((hook) => hook.imports ?? [])], {
        imported: packages,
        asked: onSpecifier,
        loads: (url) => {
          const found = url.startsWith('node:') ? { name: url, file: url } : packageFile(url)
          if (found) loads.get(found.name)?.(found.file)
        },
        hearsAll: report !== undefined || asked.size > 0,
        unseen: createUnseen(status),
        failed: onError('module hooks'),
      })
    },
  }
}

function onError(name: string): (error: unknown) => void {
  return (error) => {
    const said = error instanceof Error ? error.message : String(error)
    say('AFS_HOOK_FAILED', `${name}: ${said}. The app goes on without it.`, name)
  }
}

/** What was loaded before the preload keeps the functions that it has: nothing of it is seen. */
function tellTooEarly(status: ReturnType<typeof createInstrumentationStatus>): void {
  const early: string[] = []
  for (const [name, version] of loadedPackages()) {
    if (name === '@opentelemetry/api' || name === '@sentry/node') continue // nothing of them is patched
    early.push(name)
    status.set(name, name, version, 'loaded_too_early')
  }
  if (early.length > 0)
    say(
      'AFS_LOADED_TOO_EARLY',
      `${early.join(', ')}: loaded before Afterspan, and not instrumented. Preload afterspan/register first: node --require afterspan/register app.js`,
    )
}

function guarded(asked: Map<string, () => void>, run: () => void, onError: (error: unknown) => void): void {
  for (const [specifier, its] of asked) if (its === run) asked.delete(specifier)
  try {
    run()
  } catch (error) {
    onError(error)
  }
}

function sayUnsupportedVersion(hook: string, module: string, version: string, range: string): void {
  say(
    'AFS_HOOK_UNSUPPORTED',
    `${module} ${version} is outside of what was tested (${range}) and is left alone by ${hook}.`,
    `${hook} ${version}`,
  )
}

/** What is done with the exports of a module that a hook of ours waits for. */
function patchOf(
  hook: ModuleHook,
  status: ReturnType<typeof createInstrumentationStatus>,
  onError: (error: unknown) => void,
): Patch {
  return (exports, version) => {
    const namespace = exports as Record<string | symbol, unknown>
    const isEsm = namespace[Symbol.toStringTag] === 'Module'
    if (version && !inRange(version, hook.versions)) {
      status.set(hook.name, hook.module, version, 'unsupported', hook.versions)
      if (!hook.isQuiet) sayUnsupportedVersion(hook.name, hook.module, version, hook.versions)
      return exports
    }
    try {
      const target = isEsm ? (commonJsOf(namespace) ?? namespace) : namespace
      const replaced = hook.patch(target, { version, format: isEsm && target === namespace ? 'module' : 'commonjs' })
      status.set(hook.name, hook.module, version, 'active')
      return replaced === undefined ? exports : replaced
    } catch (error) {
      status.set(hook.name, hook.module, version, 'failed')
      onError(error)
      return exports
    }
  }
}

/** What an ESM namespace of a CommonJS module stands for: its default export, where every other name is only a copy of one of its properties. */
function commonJsOf(namespace: Record<string | symbol, unknown>): Record<string, unknown> | undefined {
  const whole = namespace['default']
  if ((typeof whole !== 'object' && typeof whole !== 'function') || whole === null) return undefined
  return Object.keys(namespace).every((key) => key === 'default' || key === 'module.exports' || key in whole)
    ? (whole as Record<string, unknown>)
    : undefined
}
