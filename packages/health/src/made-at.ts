import { sep } from 'node:path'

/** What of Node calls on at once, in a context of its own: instrumentations go through it. */
const PASSING = /^node:(?:async_hooks|diagnostics_channel|internal\/async_local_storage\/)/

/**
 * Where a client was made: by the app (or a library that it uses), inside of the client's own library, or nobody knows. `through`: by which
 * library the app made it, an ORM or a pool; where no code of the app's own is on the stack, `at` is there too.
 */
export type MadeBy =
  | { readonly kind: 'app'; readonly at: string; readonly through?: string }
  | { readonly kind: 'library' | 'unknown'; readonly at?: undefined }

/**
 * Who called the constructor in which `boundary` runs, as `file:line` relative to the working folder; `own` matches the frames of the
 * client's library. A stack that leads from the library straight into Node means that the library made the client for itself.
 */
export function madeBy(boundary: (...args: never[]) => unknown, own: RegExp): MadeBy {
  try {
    return firstCaller(stackAbove(boundary), own)
  } catch {
    // a working folder that is gone, a stack of another form: nothing that the app should hear of
    return { kind: 'unknown' }
  }
}

function firstCaller(frames: readonly string[], own: RegExp): MadeBy {
  if (frames.length === 0) return { kind: 'unknown' }
  // Instrumentations wrap the methods that a constructor calls: what lies below it is nobody's caller.
  const constructor = frames.findIndex((frame) => /^\s*at new /.test(frame) && own.test(frame))
  const above = frames.slice(constructor + 1)
  for (const [i, frame] of above.entries()) {
    const place = own.test(frame) ? undefined : placeOf(frame)
    if (!place || PASSING.test(place.file) || isOwn(place.file)) continue
    if (place.file.startsWith('node:')) return { kind: 'library' }
    const at = said(place)
    if (!isInstalled(place.file)) return { kind: 'app', at }
    return { kind: 'app', at: callerAmong(above.slice(i + 1)) ?? at, through: at }
  }
  return { kind: 'library' }
}

function isInstalled(file: string): boolean {
  return /[\\/]node_modules[\\/]/.test(file)
}

function stackAbove(boundary: (...args: never[]) => unknown): string[] {
  const limit = Error.stackTraceLimit
  const holder: { stack?: unknown } = {}
  try {
    Error.stackTraceLimit = 50
    Error.captureStackTrace(holder, boundary)
    return typeof holder.stack === 'string' ? holder.stack.split('\n').filter((line) => /^\s+at /.test(line)) : []
  } catch {
    return []
  } finally {
    try {
      Error.stackTraceLimit = limit
    } catch {
      // frozen intrinsics: it was never changed
    }
  }
}

/** The first frame of a stack that is the app's own code, as `file:line`: not Node's, not a package's, not Afterspan's. */
export function callerIn(stack: string): string | undefined {
  return callerAmong(stack.split('\n'))
}

function callerAmong(frames: readonly string[]): string | undefined {
  for (const frame of frames) {
    const place = placeOf(frame)
    if (!place || place.file.startsWith('node:') || isInstalled(place.file) || isOwn(place.file)) continue
    return said(place)
  }
  return undefined
}

interface Place {
  readonly file: string
  readonly line: string
}

function placeOf(frame: string): Place | undefined {
  const [, file, line] = /^\s+at (?:async )?(?:.*\()?(.+?):(\d+):\d+\)?$/.exec(frame) ?? []
  return file === undefined || line === undefined ? undefined : { file, line }
}

/** What stands in one folder with this code, which in an app is the bundles: nobody's caller, wherever it stands between an app and a library. */
function isOwn(file: string): boolean {
  return file.startsWith(`${__dirname}${sep}`)
}

function said({ file, line }: Place): string {
  return `${relative(file)}:${line}`
}

/** From the working folder; of a package its name and what follows. */
export function relative(file: string): string {
  const path = file.startsWith('file://') ? decodeURI(file.slice('file://'.length)) : file
  const at = path.lastIndexOf('/node_modules/')
  if (at >= 0) return path.slice(at + '/node_modules/'.length)
  const folder = `${process.cwd()}/`
  return path.startsWith(folder) ? path.slice(folder.length) : path
}
