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
  const fields = new Set(propagation.fields().map((field) => field.toLowerCase()))
  const isContext = (name: unknown): boolean => {
    const lower = typeof name === 'string' ? name.toLowerCase() : ''
    return lower !== 'baggage' && fields.has(lower)
  }
  if (Array.isArray(headers)) {
    for (let at = headers.length - 2; at >= 0; at -= 2) if (isContext(headers[at])) headers.splice(at, 2)
  } else if (typeof headers === 'string' && headers !== '')
    request.headers = headers
      .split('\r\n')
      .filter((line) => !isContext(line.slice(0, line.indexOf(':'))))
      .join('\r\n')
}
