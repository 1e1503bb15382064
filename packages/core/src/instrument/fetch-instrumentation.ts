import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { join } from 'node:path'
import { requireKept } from '../code-cache.ts'
import { dropOwnContext, type FetchRequest } from '../http/fetch-headers.ts'

interface Bundle {
  readonly UndiciInstrumentation: new (config: object) => { onRequestCreated(message: unknown): void }
}

/** Its hook is called when there is a span, before its context is added. */
const FETCH = {
  requestHook(_: unknown, request: FetchRequest) {
    dropOwnContext(request)
  },
}

/** fetch has no module to hook: its official instrumentation is loaded by the first request, which it is then handed. */
export function watchFetch(bundleDir: string, onError: (error: unknown) => void): void {
  const first = (message: unknown): void => {
    unsubscribe('undici:request:create', first)
    try {
      const { UndiciInstrumentation } = requireKept(join(bundleDir, 'instrumentation-undici.js')) as Bundle
      new UndiciInstrumentation(FETCH).onRequestCreated(message)
    } catch (error) {
      onError(error)
    }
  }
  subscribe('undici:request:create', first)
}
