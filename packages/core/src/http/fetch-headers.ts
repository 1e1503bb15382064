import { propagation } from '@opentelemetry/api'

/** A request of undici's: its headers are a flat list, and a text before undici 6. */
export interface FetchRequest {
  headers?: unknown
}

/**
 * Takes out the trace context that the app has set itself, or passed on from a caller: the one of the span is added next, and a server
 * that gets two of them believes neither. node:http replaces it too. Baggage is a list, and may come in two headers.
 */
export function dropOwnContext(request: FetchRequest): void {
  const { headers } = request
  const own = (replaced ??= replacedHeaders())
  const isContext = (name: unknown): boolean => typeof name === 'string' && own.has(name.toLowerCase())
  if (Array.isArray(headers)) {
    for (let at = headers.length - 2; at >= 0; at -= 2) if (isContext(headers[at])) headers.splice(at, 2)
  } else if (typeof headers === 'string' && headers !== '')
    request.headers = headers
      .split('\r\n')
      .filter((line) => !isContext(line.slice(0, line.indexOf(':'))))
      .join('\r\n')
}

/** Known from the first request on: the propagator is set at the start. */
let replaced: ReadonlySet<string> | undefined
function replacedHeaders(): ReadonlySet<string> {
  const names = propagation.fields().map((field) => field.toLowerCase())
  return new Set(names.filter((name) => name !== 'baggage'))
}
