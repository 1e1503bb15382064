// One mechanism for CommonJS and ESM from one preload. CommonJS goes through require-in-the-middle, ESM through
// import-in-the-middle's in-thread hooks, both by way of OpenTelemetry's InstrumentationBase, so that ours and the official
// instrumentations see the same loads.
import * as nodeModule from 'node:module'
import { pathToFileURL } from 'node:url'
import { InstrumentationBase, InstrumentationNodeModuleDefinition } from '@opentelemetry/instrumentation'
import type { ModuleHook } from '../contracts/module-hook.ts'
import { say } from '../diag.ts'
import { CATALOGUE, loadInstrumentation, watchFetch } from './catalogue.ts'
import { createInstrumentationStatus } from './status.ts'
import { inRange } from './version-range.ts'

export interface ModuleHooks {
  /** Before start() only: the ESM hooks take their list of modules then. */
  add(hook: ModuleHook): void
  start(): void
  readonly status: ReturnType<typeof createInstrumentationStatus>
}
type Resolve = (specifier: string, context: { conditions?: readonly string[] }, next: unknown) => unknown
type Load = (url: string, context: { conditions?: readonly string[] }, next: unknown) => unknown
interface LoaderHooks {
  applyOptions(options: { include: string[] }): void
  resolveSync: Resolve
  loadSync: Load
}

export function createModuleHooks(options: {
  readonly bundleDir: string
  readonly isMuted: (instrumentation: string) => boolean
}): ModuleHooks {
  const hooks: ModuleHook[] = []
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
    add(hook) {
      hooks.push(hook)
    },
    start() {
      for (const hook of hooks) instrument(hook, status, onError(hook.name))
      const wanted = CATALOGUE.filter((entry) => !options.isMuted(entry.instrumentation))
      const lazily = new Map(
        wanted.map((entry) => [
          entry.module,
          () => {
            lazily.delete(entry.module)
            try {
              const made = loadInstrumentation(options.bundleDir, entry.instrumentation, entry.export, entry.config)
              status.set(entry.instrumentation, entry.module, '', made ? 'active' : 'failed')
            } catch (error) {
              status.set(entry.instrumentation, entry.module, '', 'failed')
              onError(entry.instrumentation)(error)
            }
          },
        ]),
      )
      if (!options.isMuted('undici')) watchFetch(options.bundleDir, onError('undici'))
      hookLoaders(
        [...new Set([...hooks.map((hook) => hook.module), ...wanted.map((entry) => entry.module)])],
        lazily,
        onError('module hooks'),
      )
    },
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

function hookLoaders(
  modules: readonly string[],
  lazily: ReadonlyMap<string, () => void>,
  onError: (error: unknown) => void,
): void {
  const esm = esmHooks(modules, onError)
  if (esm) {
    const forImport = (context: { conditions?: readonly string[] }): boolean =>
      context.conditions?.includes('import') === true
    nodeModule.registerHooks({
      // `node -e` and `-p` load their text by hooks too, with other conditions: import-in-the-middle must not see it.
      resolve: ((
        specifier: string,
        context: { conditions?: readonly string[] },
        next: (s: string, c: unknown) => unknown,
      ) => {
        lazily.get(specifier)?.()
        return forImport(context) ? esm.resolveSync(specifier, context, next) : next(specifier, context)
      }) as never,
      load: ((url: string, context: { conditions?: readonly string[] }, next: (u: string, c: unknown) => unknown) =>
        forImport(context) ? esm.loadSync(url, context, next) : next(url, context)) as never,
    })
    return
  }
  const loader = nodeModule as unknown as { Module?: { _load: (request: string, ...rest: unknown[]) => unknown } }
  const target = loader.Module
  if (!target) return
  const original = target._load
  target._load = function (this: unknown, request: string, ...rest: unknown[]): unknown {
    lazily.get(request)?.()
    return original.call(this, request, ...rest)
  }
}

/** import-in-the-middle's synchronous hooks, where this Node can run them. It stays outside of the bundle: the code that it generates imports it by path. */
function esmHooks(modules: readonly string[], onError: (error: unknown) => void): LoaderHooks | undefined {
  try {
    const { supportsSyncHooks } = require('import-in-the-middle/supports-sync-hooks.mjs') as {
      supportsSyncHooks(): boolean
    }
    if (!supportsSyncHooks()) {
      if (/\.mjs$|\.mts$/.test(process.argv[1] ?? ''))
        say(
          'AFS_HOOK_UNSUPPORTED',
          `Node ${process.version} cannot instrument ES modules in-thread: CommonJS is complete, imports are not seen. Node 22.22.3, 24.11.1 or 26 can.`,
        )
      return undefined
    }
    const { createHook } = require('import-in-the-middle/create-hook.mjs') as {
      createHook(meta: { url: string }): LoaderHooks
    }
    const hook = createHook({ url: pathToFileURL(require.resolve('import-in-the-middle/register-hooks.mjs')).href })
    hook.applyOptions({ include: [...modules] })
    return hook
  } catch (error) {
    onError(error)
    return undefined
  }
}
