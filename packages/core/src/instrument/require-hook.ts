// What stands in for require-in-the-middle in the bundle (scripts/build.mjs). That one resolves every require a second time, and
// the main file of every package a third: a quarter of what a preload costs an Express app at start. Here a file is looked at once,
// when it has been loaded, and only if its package is one that somebody wants to see.
import * as nodeModule from 'node:module'
import { relative, sep } from 'node:path'

type OnRequire = (exports: unknown, name: string, basedir: string) => unknown
type Extension = (this: unknown, module: { exports: unknown }, filename: string) => void

const watched = new Set<string>()
const FOLDER = `${sep}node_modules${sep}`

/** Packages whose files are shown to the hook. Before they are loaded: a file is looked at once. */
export function watchPackages(names: Iterable<string>): void {
  for (const name of names) watched.add(name)
}

/** The part of require-in-the-middle's interface that OpenTelemetry's instrumentation base uses: one hook, every file of a package. Built-in modules are not seen. */
export class Hook {
  constructor(_modules: null, _options: { readonly internals: boolean }, onRequire: OnRequire) {
    const { _extensions: extensions } = (
      nodeModule as unknown as { Module: { _extensions: Record<string, Extension> } }
    ).Module
    const load = extensions['.js']!
    extensions['.js'] = function (module, filename) {
      load.call(this, module, filename)
      const found = locate(filename)
      if (found) module.exports = onRequire(module.exports, nameOf(found, filename), found.basedir)
    }
  }
}

interface PackageFile {
  readonly name: string
  readonly basedir: string
}

/** The watched package that a file belongs to. */
function locate(filename: string): PackageFile | undefined {
  const at = filename.lastIndexOf(FOLDER)
  if (at < 0) return undefined
  const start = at + FOLDER.length
  let end = filename.indexOf(sep, start)
  if (filename[start] === '@' && end > 0) end = filename.indexOf(sep, end + 1)
  if (end < 0) return undefined
  const name = filename.slice(start, end)
  const plain = sep === '/' ? name : name.replaceAll(sep, '/')
  return watched.has(plain) ? { name: plain, basedir: filename.slice(0, end) } : undefined
}

/** `pg` for the file that `require('pg')` gives, `pg/lib/client.js` for any other. */
function nameOf({ name, basedir }: PackageFile, filename: string): string {
  let main: string | undefined
  try {
    main = require.resolve(name, { paths: [basedir] })
  } catch {
    // a package without a main file
  }
  return main === filename ? name : `${name}${sep}${relative(basedir, filename)}`
}
