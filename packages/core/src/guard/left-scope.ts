/**
 * A microtask of Node's is run in the context that it was made in. raw-body and on-finished keep the context of a request around what
 * its own events call: that is the same one.
 */
const LEFT_SCOPE =
  /AsyncResource\.runInAsyncScope \(node:async_hooks[^\n]*(?:$|\n(?!.*(?:AsyncResource\.runMicrotask \(node:|[/\\]node_modules[/\\](?:on-finished|raw-body)[/\\])))/

/**
 * Whether it was thrown through an AsyncResource: the library or app has kept the context of who is guilty, and Node has put that of
 * whoever called it back in place on the way.
 */
export function hasLeftScope(error: unknown): boolean {
  try {
    const { stack } = error as { readonly stack?: unknown }
    return typeof stack === 'string' && LEFT_SCOPE.test(stack)
  } catch {
    return false
  }
}
