// The in-thread hooks of Node's module loader. What is imported goes through import-in-the-middle, which is loaded by the first
// import of a module that somebody wants to see: nobody else pays for it. What is required goes through require-hook.ts. With a hook
// for names Node resolves every require in a slower way, 0.06 ms each: there is none before the first import.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import * as nodeModule from 'node:module'
import { pathToFileURL } from 'node:url'
import { once } from '../once.ts'
import { withOwnFramesHidden } from './hidden-frames.ts'
import type { HookedPackages } from './hooked-packages.ts'

interface HookContext {
  /** An array; on Node 22.15 a Set, where something is required. */
  readonly conditions?: readonly string[] | ReadonlySet<string>
  readonly parentURL?: string
}
type Next = (target: string, context: HookContext) => unknown
type Resolve = (specifier: string, context: HookContext, next: Next) => unknown
type Load = (url: string, context: HookContext, next: Next) => unknown
interface ImportHooks {
  applyOptions(options: { include: (string | RegExp)[] }): void
  resolveSync: Resolve
  loadSync: Load
}

export interface LoadListener {
  /** Hears of every module before it is resolved, from the first import on. */
  asked(specifier: string): void
  /** Hears of every file before it is loaded, required or imported. */
  loads(url: string): void
  /** It wants to hear of every name, of what is required too. */
  readonly hearsAll: boolean
  /** An ES module that somebody wants to see, where this Node cannot show it. What it takes from CommonJS is seen all the same. */
  unseen(specifier: string): void
  failed(error: unknown): void
  /** Who sees what is imported, beside the official instrumentations. */
  readonly imported: Pick<HookedPackages, 'loaded' | 'modules' | 'moduleFiles'>
}

/** An import begins: of the program itself, or by `import()`. Published before the name is resolved. */
const IMPORT = 'tracing:module.import:start'

/** `modules` are those whose imports the instrumentations want to see. */
export function hookLoaders(modules: readonly string[], listener: LoadListener): void {
  const { asked: onSpecifier, hearsAll, imported, loads, failed: onError } = listener
  const wanted = new Set(modules)
  const isModuleFile = matchFiles(imported.moduleFiles)
  if (!canHookImports(process.versions.node)) {
    nodeModule.registerHooks({ resolve: watchOnly(wanted, listener) as never })
    return
  }
  let imports: ImportHooks | undefined
  let isAsked = false
  const resolve: Resolve = (specifier, context, next) => {
    onSpecifier(specifier)
    if (!isImport(context)) return withOwnFramesHidden(() => next(specifier, context))
    if (!isAsked && (wanted.has(specifier) || isModuleFile(specifier, context.parentURL))) {
      isAsked = true // its own modules are imported meanwhile, and it must not see those
      imports = loadImportHooks(modules, imported, onError)
    }
    return withOwnFramesHidden(() =>
      imports ? imports.resolveSync(specifier, context, next) : next(specifier, context),
    )
  }
  const watchNames = once(() => {
    unsubscribe(IMPORT, watchNames)
    nodeModule.registerHooks({ resolve: resolve as never })
  })
  const load: Load = (url, context, next) =>
    withOwnFramesHidden(() => {
      loads(url)
      if (imports && isImport(context)) return imports.loadSync(url, context, next)
      const loaded = next(url, context)
      // An ES module that is required: its own imports are announced by nothing else.
      if ((loaded as { format?: string }).format === 'module') watchNames()
      return loaded
    })
  nodeModule.registerHooks({ load: load as never })
  if (hearsAll) watchNames()
  else subscribe(IMPORT, watchNames)
}

/** An ES module that is required imports its parts, and a program its own: those may be the first imports that there are. */
function matchFiles(files: readonly string[]): (specifier: string, parent: string | undefined) => boolean {
  const known = files.map((file) => {
    const name = file
      .split('/')
      .slice(0, file.startsWith('@') ? 2 : 1)
      .join('/')
    return { folder: `/node_modules/${name}/`, base: file.slice(file.lastIndexOf('/')) }
  })
  return (specifier, parent) =>
    specifier.startsWith('.') &&
    parent !== undefined &&
    known.some(({ folder, base }) => specifier.endsWith(base) && parent.includes(folder))
}

function patternOf(file: string): RegExp {
  return new RegExp(`/node_modules/${file.replaceAll('.', '\\.')}$`)
}

/** `node -e` and `-p` load their text by hooks too, with other conditions: import-in-the-middle must not see it. Another hook may hand on anything; Node refuses what is no list. */
function isImport({ conditions }: HookContext): boolean {
  if (Array.isArray(conditions)) return conditions.includes('import')
  return conditions instanceof Set && conditions.has('import')
}

/**
 * Whether this Node takes synchronous load hooks for imports: nodejs/node#59929, in 22.22.3, 24.11.1, 25.1 and 26. The same rule as
 * import-in-the-middle's own, which cannot be asked without loading an ES module.
 */
export function canHookImports(version: string): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map((part) => Number.parseInt(part, 10))
  if (major === 22) return minor > 22 || (minor === 22 && patch >= 3)
  if (major === 24) return minor > 11 || (minor === 11 && patch >= 1)
  return major === 25 ? minor >= 1 : major > 25
}

/** CommonJS is complete without them, also where it is imported. */
function watchOnly(wanted: ReadonlySet<string>, { asked, loads, unseen }: LoadListener): Resolve {
  return (specifier, context, next) => {
    asked(specifier)
    const resolved = withOwnFramesHidden(() => next(specifier, context)) as { format?: string; url: string }
    loads(resolved.url)
    if (wanted.has(specifier) && isImport(context) && resolved.format === 'module') unseen(specifier)
    return resolved
  }
}

/** It stays outside of the bundle: the code that it generates imports it by path. */
function loadImportHooks(
  modules: readonly string[],
  imported: LoadListener['imported'],
  onError: (error: unknown) => void,
): ImportHooks | undefined {
  try {
    const { createHook } = require('import-in-the-middle/create-hook.mjs') as {
      createHook(meta: { url: string }): ImportHooks
    }
    const hooks = createHook({ url: pathToFileURL(require.resolve('import-in-the-middle/register-hooks.mjs')).href })
    hooks.applyOptions({ include: [...modules, ...imported.moduleFiles.map(patternOf)] })
    const { Hook } = require('import-in-the-middle') as { Hook: new (...given: unknown[]) => unknown }
    new Hook([...imported.modules], { internals: true }, imported.loaded)
    return hooks
  } catch (error) {
    onError(error)
    return undefined
  }
}
