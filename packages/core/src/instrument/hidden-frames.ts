// A hook of the module loader stands on the stack of what the loader throws: ours, and those of Node's own machinery for hooks. A
// stack has ten frames, so that the app's would be pushed out of it. More are taken, and where such an error ends the process,
// ours are taken out before it is printed. Nothing is caught here: Node would then name this file as the place of the throw.

/** More than hooks ever add. */
const HOOK_FRAMES = 12
const HOOKS =
  /[(/\\](?:node:internal\/modules\/customization_hooks|import-in-the-middle[/\\])|at defaultResolve \(node:internal\/modules\/cjs\/loader/
let isWatching = false

/** Does the work; what it throws shows the frames of the app that it would show without us. */
export function withOwnFramesHidden<T>(work: () => T): T {
  const limit = Error.stackTraceLimit
  if (typeof limit !== 'number') return work()
  let isDone = false
  Reflect.set(Error, 'stackTraceLimit', limit + HOOK_FRAMES)
  try {
    const result = work()
    isDone = true
    return result
  } finally {
    Reflect.set(Error, 'stackTraceLimit', limit)
    if (!isDone && !isWatching) {
      isWatching = true
      process.on('uncaughtExceptionMonitor', hideFrames)
    }
  }
}

function hideFrames(error: unknown): void {
  try {
    const { stack } = error as { readonly stack?: unknown }
    if (typeof stack !== 'string' || !HOOKS.test(stack)) return
    let frames = 0
    const kept = stack
      .split('\n')
      .filter((line) => !/^ {4}at /.test(line) || (!isOwn(line) && ++frames <= Error.stackTraceLimit))
    ;(error as { stack: string }).stack = kept.join('\n')
  } catch {
    // frozen, or a getter that throws: it stays as it is
  }
}

function isOwn(line: string): boolean {
  return line.includes(__filename) || HOOKS.test(line)
}
