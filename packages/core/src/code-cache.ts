// V8's code of our bundles, kept from one start of a service to the next: compiling them is a third of what a preload costs.
// Kept in the user's own folder (0700) in the system's folder for temporary files, one file for each bundle, Node and set of flags.
// V8 itself refuses code of another version or other flags; that source and code are whole, it does not look, so we do.
import { lstatSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { Script } from 'node:vm'
import { crc32 } from 'node:zlib'
import { fnv } from './fnv.ts'
import { globalState } from './global-state.ts'
import type { Unkept } from './kept-code.ts'
import { isOurs, ownFolder } from './own-folder.ts'

const HEADER = 8
const MOST_FILES = 60
const KEPT_AFTER_MS = 1_000
const WRAPPER = ['(function (exports, require, module, __filename, __dirname) { ', '\n})'] as const

type Wrapped = (exports: object, require: NodeJS.Require, module: object, filename: string, dirname: string) => void

/** From now on, in this thread. Without it `requireKept` is `require`. */
export function useKeptCode(flags: string): void {
  globalState().code = { flags, loaded: new Map(), unkept: [] }
}

/** Loads one of our bundles once in a thread, like `require(file)`; from kept code where there is some. */
export function requireKept(file: string): unknown {
  const { code } = globalState()
  const folder = code && ownFolder()
  if (!folder) return require(file)
  let exports = code.loaded.get(file)
  if (exports === undefined) {
    exports = run(file, join(folder, 'code', nameOf(file, code.flags)), code.unkept)
    code.loaded.set(file, exports)
  }
  return exports
}

function run(file: string, place: string, unkept: Unkept[]): object {
  const source = readFileSync(file)
  const module = { exports: {} }
  const cachedData = readKept(place, source)
  const script = new Script(WRAPPER.join(source.toString('latin1')), cachedData ? { filename: file, cachedData } : file)
  if (!cachedData || script.cachedDataRejected) unkept.push({ place, script, source: crc32(source) })
  // This bundle's own `require` does for all of them: they lie in one package, and ask for nothing by a relative path.
  ;(script.runInThisContext() as Wrapped)(module.exports, require, module, file, dirname(file))
  return module.exports
}

/** Keeps the code of what was compiled in this thread, a moment from now, when the functions of the start are compiled too. Costs a few milliseconds, once for each Node and version of ours on a host. */
export function keepCode(): void {
  if (globalState().code?.unkept.length) setTimeout(keepCodeNow, KEPT_AFTER_MS).unref()
}

/** The same without waiting: for a process that ends before, or that never listens. */
export function keepCodeNow(): void {
  for (const each of globalState().code?.unkept.splice(0) ?? []) writeKept(each)
}

function nameOf(file: string, flags: string): string {
  return `${basename(file, '.js')}-${fnv(JSON.stringify([file, process.version, process.arch, flags]))}`
}

function readKept(place: string, source: Buffer): Buffer | undefined {
  try {
    const { uid, mode } = lstatSync(dirname(place))
    if (uid !== process.getuid?.() || (mode & 0o077) !== 0) return undefined
    const kept = readFileSync(place)
    const data = kept.subarray(HEADER)
    const isWhole =
      kept.length > HEADER && kept.readUInt32LE(0) === crc32(source) && kept.readUInt32LE(4) === crc32(data)
    return isWhole ? data : undefined
  } catch {
    return undefined // none yet
  }
}

/** Best effort: a folder that cannot be written leaves it at compiling. */
function writeKept({ place, script, source }: Unkept): void {
  try {
    const dir = dirname(place)
    if (![dirname(dir), dir].every(isOurs)) return
    const data = script.createCachedData()
    const header = Buffer.alloc(HEADER)
    header.writeUInt32LE(source, 0)
    header.writeUInt32LE(crc32(data), 4)
    const draft = `${place}.${process.pid}`
    writeFileSync(draft, Buffer.concat([header, data]), { mode: 0o600 })
    renameSync(draft, place)
    prune(dir)
  } catch {
    /* a full or read-only disk */
  }
}

/** What older versions left goes, the oldest first. */
function prune(dir: string): void {
  const files = readdirSync(dir).map((name) => join(dir, name))
  if (files.length <= MOST_FILES) return
  const age = new Map(files.map((file) => [file, statSync(file).mtimeMs]))
  files.sort((a, b) => age.get(b)! - age.get(a)!)
  for (const file of files.slice(MOST_FILES)) rmSync(file, { force: true })
}
