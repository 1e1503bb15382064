// What stands in for require-in-the-middle in the bundle (scripts/build.mjs). That one resolves every require a second time, and
// the main file of every package a third: a quarter of what a preload costs an Express app at start. Here a file is looked at once,
// when it has been loaded, and only if its package is one that somebody wants to see. Nothing of ours is on the stack while it
// runs: a stack has ten frames, and they are the app's. So no function of Node's is wrapped; what tells is that a module becomes `loaded`.
import * as nodeModule from 'node:module'
import { readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { say } from '../diag.ts'
import { packageFile, type PackageFile } from './package-file.ts'

type OnRequire = (exports: unknown, name: string, basedir: string) => unknown
interface LoadedModule {
  readonly id: string
  exports: unknown
  loaded: boolean
}

const watched = new Set<string>()
const listeners: OnRequire[] = []
/** By the package's folder. */
const mains = new Map<string, string | undefined>()

/** Packages whose files are shown to the hook. Before they are loaded: a file is looked at once. */
export function watchPackages(names: Iterable<string>): void {
  for (const name of names) watched.add(name)
}

/** Those of the watched packages whose main file is loaded already, with their versions. */
export function loadedPackages(): ReadonlyMap<string, string> {
  const versions = new Map<string, string>()
  for (const filename of Object.keys(require.cache)) {
    const found = locate(filename)
    if (found && nameOf(found, filename) === found.name) versions.set(found.name, versionOf(found.basedir))
  }
  return versions
}

function versionOf(basedir: string): string {
  try {
    return (JSON.parse(readFileSync(join(basedir, 'package.json'), 'utf8')) as { version?: string }).version ?? ''
  } catch {
    return ''
  }
}

/** The part of require-in-the-middle's interface that OpenTelemetry's instrumentation base uses: every file of a package, to each hook in the order in which they were made. Built-in modules are not seen. */
export class Hook {
  constructor(_modules: null, _options: { readonly internals: boolean }, onRequire: OnRequire) {
    if (listeners.push(onRequire) > 1) return
    const { Module } = nodeModule as unknown as { Module: { new (id: string): LoadedModule; prototype: object } }
    Object.defineProperty(Module.prototype, 'loaded', {
      configurable: true,
      get: () => false,
      // Node's constructor sets it to false. A file that nobody wants to see has a plain property from then on.
      set(this: LoadedModule, value: boolean) {
        const found = value ? undefined : locate(this.id)
        if (found) tellWhenLoaded(this, found)
        else define(this, value)
      },
    })
    if (Object.hasOwn(new Module(''), 'loaded')) return
    say(
      'AFS_HOOK_FAILED',
      `Node ${process.version} loads CommonJS in another way than is known: what is required is not instrumented.`,
    )
  }
}

function tellWhenLoaded(module: LoadedModule, found: PackageFile): void {
  const { id } = module
  Object.defineProperty(module, 'loaded', {
    configurable: true,
    enumerable: true,
    get: () => false,
    set(value: boolean) {
      define(module, value)
      if (!value) return
      const name = nameOf(found, id)
      for (const onRequire of listeners)
        try {
          module.exports = onRequire(module.exports, name, found.basedir)
        } catch (error) {
          const why = error instanceof Error ? error.message : String(error)
          say('AFS_HOOK_FAILED', `${found.name}: ${why}. The app has it as it is.`, found.name)
        }
    },
  })
}

function define(module: LoadedModule, value: boolean): void {
  Object.defineProperty(module, 'loaded', { configurable: true, enumerable: true, value, writable: true })
}

/** Its package, where somebody watches that. */
function locate(filename: string): PackageFile | undefined {
  const found = packageFile(filename, sep)
  return found && watched.has(found.name) ? found : undefined
}

/** `pg` for the file that `require('pg')` gives, `pg/lib/client.js` for any other. */
function nameOf({ name, basedir }: PackageFile, filename: string): string {
  return mainOf(name, basedir) === filename ? name : `${name}${sep}${relative(basedir, filename)}`
}

/** Node looks for it anew each time, and a package has many files: Express, pg and ioredis made 66 lookups of it, bullmq 171. */
function mainOf(name: string, basedir: string): string | undefined {
  if (mains.has(basedir)) return mains.get(basedir)
  let main: string | undefined
  try {
    main = require.resolve(name, { paths: [basedir] })
  } catch {
    // a package without a main file
  }
  mains.set(basedir, main)
  return main
}
