// tRPC answers what a procedure throws itself, with 500, and says nothing of it but to the app's own `onError`: each of its adapters
// is given one that hears it first. It routes by names that stand in the path.
import type { ModuleHook } from '../../contracts/module-hook.ts'
import { recordActiveBroken, recordActiveError } from './active-teller.ts'
import { withExport } from './framework.ts'

interface Told {
  readonly error?: Error & { readonly code?: string }
  readonly type?: string
}
type OnError = (told: Told) => unknown
interface Options {
  readonly onError?: OnError
}
/** What is exported, by the adapter. */
const ADAPTERS: Readonly<Record<string, readonly string[]>> = {
  standalone: ['createHTTPHandler', 'createHTTPServer', 'createHTTP2Handler'],
  express: ['createExpressMiddleware'],
  next: ['createNextApiHandler'],
  'node-http': ['nodeHTTPRequestHandler'],
  fetch: ['fetchRequestHandler'],
}
/** The codes that are answered with 500 or above. */
const OF_SERVER = new Set([
  'INTERNAL_SERVER_ERROR',
  'NOT_IMPLEMENTED',
  'BAD_GATEWAY',
  'SERVICE_UNAVAILABLE',
  'GATEWAY_TIMEOUT',
])
const FOLDERS = new Set(['node-http', 'fetch'])

export function trpcHook(): ModuleHook {
  const names = Object.keys(ADAPTERS)
  return {
    name: '@trpc/server',
    module: '@trpc/server',
    versions: '>=10.0.0 <12',
    imports: names.map((name) => `@trpc/server/adapters/${name}`),
    files: names.flatMap((name) =>
      ['cjs', 'mjs', 'js'].map((end) => `dist/adapters/${name}${FOLDERS.has(name) ? '/index' : ''}.${end}`),
    ),
    patch(exports) {
      let result: unknown = exports
      for (const name of Object.values(ADAPTERS).flat()) {
        const make = exports[name] as ((options: Options, ...rest: unknown[]) => unknown) | undefined
        if (typeof make !== 'function') continue
        result = withExport(result, name, function (this: unknown, options: Options, ...rest: unknown[]) {
          return make.call(this, hearing(options), ...rest)
        })
      }
      return result
    },
  }
}

function hearing(options: Options): Options {
  if (typeof options !== 'object' || options === null) return options
  const onError: OnError = function (this: unknown, told, ...rest: []) {
    const { error } = told
    const thrown = error?.cause instanceof Error ? error.cause : error
    if (thrown) (hasBroken(told) ? recordActiveBroken : recordActiveError)(thrown)
    return options.onError?.call(this, told, ...rest)
  }
  return { ...options, onError }
}

/** The events of a subscription follow a 200, and so does what ends them. */
function hasBroken({ error, type }: Told): boolean {
  return type === 'subscription' && OF_SERVER.has(error?.code ?? '')
}
