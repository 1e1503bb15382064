// Our own hooks, by the package that they wait for. OpenTelemetry's InstrumentationBase would do the same and bring a tracer, a meter
// and a logger for each: it is loaded with the first official instrumentation, and not by an app that needs none.
import { readFileSync } from 'node:fs'
import { isAbsolute, join, normalize, parse } from 'node:path'
import type { ModuleHook } from '../contracts/module-hook.ts'

/** Called once per loaded copy; returns what the app gets. */
export type Patch = (exports: unknown, version: string) => unknown

export interface HookedPackages {
  readonly modules: readonly string[]
  /** Files that may be ES modules: `graphile-worker/dist/worker.js`. */
  readonly moduleFiles: readonly string[]
  /** A file of a package was loaded: `pg` for the main one, `pg/lib/client.js` for any other; without a folder it is a path, or Node's own. */
  loaded(exports: unknown, name: string, baseDir?: string): unknown
}

export function createHookedPackages(hooks: readonly (readonly [ModuleHook, Patch])[]): HookedPackages {
  const waiting = new Map<string, (readonly [ModuleHook, Patch])[]>()
  for (const each of hooks) {
    const those = waiting.get(each[0].module)
    if (those) those.push(each)
    else waiting.set(each[0].module, [each])
  }
  return {
    modules: [...waiting.keys()],
    moduleFiles: hooks.flatMap(([{ module, files = [], hasModules }]) =>
      hasModules ? files.map((file) => `${module}/${file}`) : [],
    ),
    loaded(exports, name, baseDir) {
      if (baseDir === undefined && isAbsolute(name)) ({ name, dir: baseDir } = parse(name))
      const those = waiting.get(packageOf(name))?.filter(([hook]) => isMeant(hook, name))
      if (!those || those.length === 0) return exports
      const version = baseDir === undefined ? '' : versionOf(baseDir)
      return those.reduce((given, [, patch]) => patch(given, version), exports)
    },
  }
}

function isMeant({ module, files }: ModuleHook, name: string): boolean {
  return files ? files.some((file) => normalize(`${module}/${file}`) === normalize(name)) : name === module
}

function packageOf(name: string): string {
  const parts = name.split(/[/\\]/)
  return name.startsWith('@') ? parts.slice(0, 2).join('/') : parts[0]!
}

function versionOf(baseDir: string): string {
  try {
    const { version } = JSON.parse(readFileSync(join(baseDir, 'package.json'), 'utf8')) as { version?: unknown }
    return typeof version === 'string' ? version : ''
  } catch {
    return ''
  }
}
