// Hono's stream(), streamText() and streamSSE() write the body once the handler has answered. What is thrown there goes to the console,
// and the body ends as if it were whole.
import type { ModuleHook } from '../../contracts/module-hook.ts'
import { withExport, type RequestTeller } from './framework.ts'

interface Context {
  /** Of @hono/node-server. */
  readonly env?: { readonly incoming?: object }
}
type Write = (this: unknown, ...args: unknown[]) => unknown
type Stream = (this: unknown, context: Context, write: Write, onError?: unknown, ...rest: unknown[]) => unknown

export function honoStreamingHook(teller: RequestTeller): ModuleHook {
  const folder = 'helper/streaming/index.js'
  return {
    name: 'hono',
    module: 'hono',
    versions: '>=4.0.0 <5',
    imports: ['hono/streaming'],
    files: [`dist/cjs/${folder}`, `dist/${folder}`],
    patch(exports) {
      let result: unknown = exports
      for (const name of ['stream', 'streamText', 'streamSSE']) {
        const stream = exports[name] as Stream | undefined
        if (typeof stream !== 'function') continue
        result = withExport(
          result,
          name,
          function (this: unknown, ...[context, write, onError, ...rest]: Parameters<Stream>) {
            return stream.call(this, context, told(teller, context, write, onError), onError, ...rest)
          },
        )
      }
      return result
    },
  }
}

function told({ recordBroken, recordError }: RequestTeller, context: Context, write: Write, onError: unknown): Write {
  const incoming = context.env?.incoming
  if (!incoming || typeof write !== 'function') return write
  return async function (this: unknown, ...args) {
    try {
      return await write.apply(this, args)
    } catch (error) {
      // Hono passes over undefined. What the app has a handler for it has answered itself.
      if (error instanceof Error && onError) recordError(incoming, error)
      else if (error !== undefined) recordBroken(incoming, error)
      throw error
    }
  }
}
