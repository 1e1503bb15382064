// A hook of the module loader stands on the stack of what the loader throws: ours, and those of Node's own machinery for hooks. So does
// a function of ours that calls one of the app's. A stack has ten frames, so that the app's would be pushed out of it. More are taken
// where only the loader runs, and ours are taken out of what ends the process before it is printed. Nothing is caught for it: Node
// would then name this file as the place of the throw.
import { sep } from 'node:path'
import { types } from 'node:util'

/** More than hooks ever add. */
const HOOK_FRAMES = 12
const HOOKS =
  /[(/\\](?:node:internal\/modules\/customization_hooks|import-in-the-middle[/\\])|at defaultResolve \(node:internal\/modules\/cjs\/loader/

/** Does the work; what it throws shows the frames of the app that it would show without us. */
export function withOwnFramesHidden<T>(work: () => T): T {
  const limit = Error.stackTraceLimit
  if (typeof limit !== 'number') return work()
  Reflect.set(Error, 'stackTraceLimit', limit + HOOK_FRAMES)
  try {
    return work()
  } finally {
    Reflect.set(Error, 'stackTraceLimit', limit)
  }
}

/** Takes what is not the app's out of the stack of what it threw. */
export function hideOwnFrames(error: unknown): void {
  try {
    if (!types.isNativeError(error)) return
    hideInEmitted(error)
    const { stack } = error as { readonly stack?: unknown }
    if (typeof stack !== 'string' || !isOwn(stack)) return
    let frames = 0
    const lines = stack.split('\n')
    const kept = lines.filter(
      (line, at) => !/^ {4}at /.test(line) || (!isOwn(line) && !isRun(lines, at) && ++frames <= Error.stackTraceLimit),
    )
    error.stack = kept.join('\n')
  } catch {
    // frozen, or a getter that throws: it stays as it is
  }
}

/** Where an 'error' event without a listener was emitted is added by Node when it prints, by a function that it has put on the error. */
function hideInEmitted(error: Error): void {
  const key = Object.getOwnPropertySymbols(error).find(
    ({ description }) => description === 'kEnhanceStackBeforeInspector',
  )
  if (!key) return
  const enhance = (error as unknown as Record<symbol, () => string>)[key]!
  const value = (): string =>
    enhance()
      .split('\n')
      .filter((line) => !/^ {4}at /.test(line) || !isOwn(line))
      .join('\n')
  Object.defineProperty(error, key, { value, configurable: true })
}

/** Of what is thrown from now on and that nobody here will see, until the returned function is called. */
export function hideFramesOf(file: string): () => void {
  const limit = Error.stackTraceLimit
  // Node's, or one of the app's.
  const before = Reflect.get(Error, 'prepareStackTrace') as Prepare | undefined
  if (typeof limit !== 'number' || typeof before !== 'function') return () => {}
  const prepare: Prepare = (error, frames) => {
    const others = frames.filter((frame) => frame.getFileName() !== file)
    return Reflect.apply(before, Error, [error, others])
  }
  Reflect.set(Error, 'stackTraceLimit', limit + 1)
  Reflect.set(Error, 'prepareStackTrace', prepare)
  return () => {
    if (Error.stackTraceLimit === limit + 1) Reflect.set(Error, 'stackTraceLimit', limit)
    if (Reflect.get(Error, 'prepareStackTrace') === prepare) Reflect.set(Error, 'prepareStackTrace', before)
  }
}
type Prepare = (error: Error, frames: readonly NodeJS.CallSite[]) => unknown

const FOLDER = __dirname + sep

function isOwn(line: string): boolean {
  return line.includes(FOLDER) || HOOKS.test(line)
}

/** Node's, called by ours to set a context. */
function isRun(lines: readonly string[], at: number): boolean {
  return /^ {4}at AsyncLocalStorage\.run \(node:/.test(lines[at]!) && isOwn(lines[at + 1] ?? '')
}
