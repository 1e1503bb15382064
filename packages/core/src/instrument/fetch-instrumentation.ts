import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { join } from 'node:path'
import type { Attributes, Span } from '@opentelemetry/api'
import { requireKept } from '../code-cache.ts'
import { dropOwnContext, type FetchRequest } from '../http/fetch-headers.ts'
import { redactQuery } from '../http/redact-query.ts'

interface FetchFailed {
  readonly request: object
  readonly error: unknown
}
interface Bundle {
  readonly UndiciInstrumentation: new (config: object) => {
    onRequestCreated(message: unknown): void
    onError(message: FetchFailed): void
  }
}

/** Its hook is called when there is a span, before its context is added. */
const FETCH = {
  requestHook(span: Span, request: FetchRequest) {
    dropOwnContext(request)
    withholdSecrets(span)
  },
}

/** It says itself what was asked, with all that stands in the query. */
function withholdSecrets(span: Span): void {
  const { attributes = {} } = span as { readonly attributes?: Attributes }
  for (const name of ['url.full', 'url.query']) {
    const value = attributes[name]
    if (typeof value !== 'string') continue
    const query = value.indexOf('?') + 1
    if (query > 0 || name === 'url.query')
      span.setAttribute(name, value.slice(0, query) + redactQuery(value.slice(query)))
  }
}

/** What fails has an error. Anything else is the reason that the app gave to abort() or cancel(), or Node's, since nobody has a body any more that was not read. */
function isWish(error: unknown): boolean {
  return typeof error !== 'object' || error === null
}

/** fetch has no module to hook: its official instrumentation is loaded by the first request, which it is then handed. */
export function watchFetch(bundleDir: string, onError: (error: unknown) => void): void {
  const first = (message: unknown): void => {
    unsubscribe('undici:request:create', first)
    try {
      const { UndiciInstrumentation } = requireKept(join(bundleDir, 'instrumentation-undici.js')) as Bundle
      class FetchInstrumentation extends UndiciInstrumentation {
        override onError({ request, error }: FetchFailed): void {
          super.onError({ request, error: isWish(error) ? new DOMException(String(error), 'AbortError') : error })
        }
      }
      new FetchInstrumentation(FETCH).onRequestCreated(message)
    } catch (error) {
      onError(error)
    }
  }
  subscribe('undici:request:create', first)
}
