// What `afterspan doctor` reads of a process: what it asked for, what was found, and what came of it.
import { writeFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { join } from 'node:path'
import { isMainThread, threadId } from 'node:worker_threads'
import { canHookImports } from './loader-hooks.ts'
import { loadedPackages } from './require-hook.ts'
import type { createInstrumentationStatus, InstrumentationRow } from './status.ts'

export interface LoadingReport {
  readonly pid: number
  readonly ppid: number
  /** 0 for the main thread. */
  readonly threadId: number
  readonly node: string
  readonly hooksImports: boolean
  readonly argv: readonly string[]
  /** Bare names of packages that were asked for, whoever asked. */
  readonly asked: readonly string[]
  /** The app asks for the preload in its own code: without the flag it is loaded then, and not before. */
  readonly asksForPreload: boolean
  /** Of the watched packages, those whose CommonJS is loaded, with versions. */
  readonly loaded: Readonly<Record<string, string>>
  readonly watched: readonly string[]
  readonly instrumentation: readonly InstrumentationRow[]
}

const PRELOADS: ReadonlySet<string> = new Set(['@afterspan/core/register', 'afterspan/register'])
const EVERY_MS = 250
const MOST_ASKED = 5_000

/** Writes one file a thread into the folder, again and again while something changes, and at the end. Returns who is to hear of each specifier. */
export function reportLoading(
  dir: string,
  watched: readonly string[],
  status: ReturnType<typeof createInstrumentationStatus>,
): (specifier: string) => void {
  const asked = new Set<string>()
  let asksForPreload = false
  const file = join(dir, `${process.pid}-${threadId}.json`)
  let written = ''
  const write = (): void => {
    const report: LoadingReport = {
      pid: process.pid,
      ppid: process.ppid,
      threadId: isMainThread ? 0 : threadId,
      node: process.version,
      hooksImports: canHookImports(process.versions.node),
      argv: process.argv.slice(1),
      asked: [...asked].filter((name) => !isBuiltin(name)),
      asksForPreload,
      loaded: Object.fromEntries(loadedPackages()),
      watched,
      instrumentation: status.rows(),
    }
    const text = JSON.stringify(report)
    if (text === written) return
    written = text
    try {
      writeFileSync(file, text)
    } catch {
      // the doctor has gone, and its folder with it
    }
  }
  write()
  setInterval(write, EVERY_MS).unref()
  process.on('exit', write)
  return (specifier) => {
    asksForPreload ||= PRELOADS.has(specifier)
    const name = packageOf(specifier)
    if (name && asked.size < MOST_ASKED) asked.add(name)
  }
}

/** `@scope/name` of '@scope/name/deep'; undefined for paths, URLs and Node's own. */
function packageOf(specifier: string): string | undefined {
  return /^(?:@[a-z0-9~._-]+\/)?[a-z0-9~][a-z0-9~._-]*(?=\/|$)/i.exec(specifier)?.[0]
}
