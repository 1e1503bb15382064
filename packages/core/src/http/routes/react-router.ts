// React Router as a framework, once Remix: its server has a place for instrumentations beside those of the app's entry.
import type { ModuleHook } from '../../contracts/module-hook.ts'
import { recordActiveError, setActiveRoute } from './active-teller.ts'
import { withExport } from './framework.ts'

interface Entry {
  readonly handleError?: (error: unknown, details: unknown) => unknown
  readonly instrumentations?: readonly object[]
}
interface Build {
  readonly basename?: string
  readonly entry?: { readonly module?: Entry }
}
type CreateRequestHandler = (build: Build | (() => Build | Promise<Build>), ...rest: unknown[]) => unknown

/** What a call has come to. It never rejects. */
interface Result {
  readonly status: 'error' | 'success'
  readonly error?: unknown
  /** Of a whole request. */
  readonly meta?: { readonly pattern?: string }
}
type Call = () => Promise<Result>
interface Instrumentable {
  instrument(calls: Readonly<Record<string, (call: Call) => Promise<void>>>): void
}

export function reactRouterHook(): ModuleHook {
  return {
    name: 'react-router',
    module: 'react-router',
    versions: '>=8.0.0 <9',
    isQuiet: true, // in older ones a browser's router is all that most have of it
    patch(exports) {
      const create = exports.createRequestHandler as CreateRequestHandler | undefined
      if (typeof create !== 'function') return exports
      return withExport(exports, 'createRequestHandler', function (this: unknown, ...args: Parameters<typeof create>) {
        const [build, ...rest] = args
        const watched = typeof build === 'function' ? async () => watchedBuild(await build()) : watchedBuild(build)
        return create.call(this, watched, ...rest)
      })
    },
  }
}

function watchedBuild(build: Build): Build {
  const module = build?.entry?.module
  if (!module) return build
  const { handleError, instrumentations = [] } = module
  const told: Entry = {
    ...module,
    instrumentations: [...instrumentations, own(build.basename ?? '')],
    ...(typeof handleError === 'function' ? { handleError: heard(handleError) } : {}),
  }
  return { ...build, entry: { ...build.entry, module: told } }
}

function own(basename: string): object {
  const base = basename.replace(/\/+$/, '')
  return {
    handler(handler: Instrumentable): void {
      handler.instrument({
        async request(call) {
          const { meta } = await call()
          if (meta?.pattern) setActiveRoute(`${base}/${meta.pattern.replace(/^\/+/, '')}`)
        },
      })
    },
    route(route: Instrumentable): void {
      route.instrument({ action: told, loader: told, middleware: told })
    },
  }
}

async function told(call: Call): Promise<void> {
  const { error } = await call()
  if (error !== undefined) recordActiveError(error)
}

/** What is thrown as the page is made comes here alone. What is no error is an answer, such as one that nothing matches. */
function heard(handleError: NonNullable<Entry['handleError']>): NonNullable<Entry['handleError']> {
  return function (this: unknown, error, details) {
    if (error instanceof Error) recordActiveError(error)
    return handleError.call(this, error, details)
  }
}
