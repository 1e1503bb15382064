import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { requireKept } from '../code-cache.ts'
import { dropOwnContext, type FetchRequest } from '../http/fetch-headers.ts'

/** The official instrumentations that come with core, by the module whose first load brings them in. Pollers without a parent span make no root traces. */
export const CATALOGUE: readonly {
  readonly module: string
  readonly instrumentation: string
  readonly export: string
  readonly config: Readonly<Record<string, unknown>>
}[] = [
  {
    module: 'ioredis',
    instrumentation: 'ioredis',
    export: 'IORedisInstrumentation',
    config: { requireParentSpan: true },
  },
]

interface Instrumentation {
  onRequestCreated?(message: unknown): void
}
const loaded = new Map<string, Instrumentation | undefined>()

/** Makes the official instrumentation, which hooks its module as it is made. Once for each; undefined where it is not there. */
export function loadInstrumentation(
  bundleDir: string,
  name: string,
  exported: string,
  config: Readonly<Record<string, unknown>>,
): Instrumentation | undefined {
  if (loaded.has(name)) return loaded.get(name)
  loaded.set(name, undefined)
  const bundle = join(bundleDir, `instrumentation-${name}.js`)
  if (!existsSync(bundle)) return undefined
  const Instrumentation = (requireKept(bundle) as Record<string, new (config: unknown) => Instrumentation>)[exported]
  const made = Instrumentation && new Instrumentation(config)
  loaded.set(name, made)
  return made
}

/** Its hook is called when there is a span, before its context is added. */
const FETCH = {
  requestHook(_: unknown, request: FetchRequest) {
    dropOwnContext(request)
  },
}

/** fetch has no module to hook: its instrumentation is loaded by the first request, which it is then handed. */
export function watchFetch(bundleDir: string, onError: (error: unknown) => void): void {
  const first = (message: unknown): void => {
    unsubscribe('undici:request:create', first)
    try {
      loadInstrumentation(bundleDir, 'undici', 'UndiciInstrumentation', FETCH)?.onRequestCreated?.(message)
    } catch (error) {
      onError(error)
    }
  }
  subscribe('undici:request:create', first)
}
