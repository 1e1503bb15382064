// One mechanism for CommonJS and ESM from one preload. CommonJS goes through require-in-the-middle, ESM through
// import-in-the-middle's in-thread hooks, both by way of OpenTelemetry's InstrumentationBase, so that ours and the official
// instrumentations see the same loads.
import { InstrumentationBase, InstrumentationNodeModuleDefinition } from '@opentelemetry/instrumentation'
import type { ModuleHook } from '../contracts/module-hook.ts'
import { say } from '../diag.ts'
import { CATALOGUE, loadInstrumentation, watchFetch } from './catalogue.ts'
import { hookLoaders } from './loader-hooks.ts'
import { watchPackages } from './require-hook.ts'
import { createInstrumentationStatus } from './status.ts'
import { inRange } from './version-range.ts'

export interface ModuleHooks {
  /** Before start() only: the ESM hooks take their list of modules then. */
  add(hook: ModuleHook): void
  start(): void
  /** `run` is called once, when somebody is about to load one of these: for modules that no hook sees, such as Node's own. Before start() only. */
  whenAsked(specifiers: readonly string[], run: () => void): void
  /** Named in OTEL_NODE_DISABLED_INSTRUMENTATIONS, or not in the list of those that are enabled. */
  readonly isMuted: (instrumentation: string) => boolean
  readonly status: ReturnType<typeof createInstrumentationStatus>
}
export function createModuleHooks(options: {
  readonly bundleDir: string
  readonly isMuted: (instrumentation: string) => boolean
}): ModuleHooks {
  const hooks: ModuleHook[] = []
  const asked = new Map<string, () => void>()
  const status = createInstrumentationStatus()
  const onError =
    (name: string) =>
    (error: unknown): void => {
      say(
        'AFS_HOOK_FAILED',
        `${name}: ${error instanceof Error ? error.message : String(error)}. The app goes on without it.`,
        name,
      )
    }
  return {
    status,
    isMuted: options.isMuted,
    add(hook) {
      hooks.push(hook)
    },
    whenAsked(specifiers, run) {
      for (const specifier of specifiers) asked.set(specifier, run)
    },
    start() {
      const active = hooks.filter((hook) => !options.isMuted(hook.name))
      for (const hook of active) instrument(hook, status, onError(hook.name))
      const wanted = CATALOGUE.filter((entry) => !options.isMuted(entry.instrumentation))
      const waiting = new Map(wanted.map((entry) => [entry.module, entry]))
      const onSpecifier = (specifier: string): void => {
        const run = asked.get(specifier)
        if (run) guarded(asked, run, onError(specifier))
        const entry = waiting.get(specifier)
        if (!entry) return
        waiting.delete(specifier)
        bringIn(entry, options.bundleDir, status, onError(entry.instrumentation))
      }
      if (!options.isMuted('undici')) watchFetch(options.bundleDir, onError('undici'))
      const modules = [...active.map((hook) => hook.module), ...wanted.map((entry) => entry.module)]
      watchPackages(modules)
      hookLoaders([...new Set(modules)], onSpecifier, onError('module hooks'))
    },
  }
}

function guarded(asked: Map<string, () => void>, run: () => void, onError: (error: unknown) => void): void {
  for (const [specifier, its] of asked) if (its === run) asked.delete(specifier)
  try {
    run()
  } catch (error) {
    onError(error)
  }
}

/** An official instrumentation, when its module is about to be loaded for the first time. */
function bringIn(
  { module, instrumentation, export: exported, config }: (typeof CATALOGUE)[number],
  bundleDir: string,
  status: ReturnType<typeof createInstrumentationStatus>,
  onError: (error: unknown) => void,
): void {
  try {
    const made = loadInstrumentation(bundleDir, instrumentation, exported, config)
    status.set(instrumentation, module, '', made ? 'active' : 'failed')
  } catch (error) {
    status.set(instrumentation, module, '', 'failed')
    onError(error)
  }
}

/** One of our hooks as an OpenTelemetry instrumentation, without tracer or meter of its own. */
function instrument(
  hook: ModuleHook,
  status: ReturnType<typeof createInstrumentationStatus>,
  onError: (error: unknown) => void,
): void {
  const patch = (exports: unknown, version = ''): unknown => {
    const namespace = exports as Record<string | symbol, unknown>
    const isEsm = namespace[Symbol.toStringTag] === 'Module'
    if (version && !inRange(version, hook.versions)) {
      status.set(hook.name, hook.module, version, 'unsupported')
      say(
        'AFS_HOOK_UNSUPPORTED',
        `${hook.module} ${version} is outside of what was tested (${hook.versions}) and is left alone by ${hook.name}.`,
        hook.name,
      )
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
  class Hooked extends InstrumentationBase {
    constructor() {
      super(`afterspan/${hook.name}`, '0', {})
    }
    protected override init(): InstrumentationNodeModuleDefinition[] {
      return [new InstrumentationNodeModuleDefinition(hook.module, ['*'], patch)]
    }
  }
  new Hooked()
}

/** What an ESM namespace of a CommonJS module stands for: its default export, where every other name is only a copy of one of its properties. */
function commonJsOf(namespace: Record<string | symbol, unknown>): Record<string, unknown> | undefined {
  const whole = namespace['default']
  if ((typeof whole !== 'object' && typeof whole !== 'function') || whole === null) return undefined
  return Object.keys(namespace).every((key) => key === 'default' || key === 'module.exports' || key in whole)
    ? (whole as Record<string, unknown>)
    : undefined
}
