import type { MetricRegistry, Record } from '../metrics/registry.ts'
import type { Open } from './open-request.ts'

/** Semconv: http.server.request.duration, and http.client.request.duration. */
export const DURATION_BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
const DURATION_LABELS = [
  'http_request_method',
  'http_response_status_code',
  'http_route',
  'url_scheme',
  'network_protocol_version',
  'error_type',
  'afterspan_http_inferred_route',
]

export interface RequestMetrics {
  started(open: Open): void
  /** `endMs`: epoch milliseconds. */
  ended(open: Open, endMs: number, status: number | undefined, errorType: string | undefined): void
}

/** `http_server_request_duration_seconds` and `http_server_active_requests`. */
export function createRequestMetrics(metrics: MetricRegistry): RequestMetrics {
  const duration = metrics.histogram(
    'http_server_request_duration_seconds',
    'Duration of HTTP server requests.',
    'seconds',
    DURATION_BOUNDS,
    DURATION_LABELS,
  )
  const count = activeRequests(metrics)
  const ofRoutes = new Map<string, Recorder[]>()
  const ofInferredRoutes = new Map<string, Recorder[]>()
  /** Most routes are answered in one or two ways: those are compared field by field, and no key is built. */
  const recorderOf = (open: Open, status: string, errorType: string): Recorder => {
    const { method, route = '' } = open.record
    const scheme = String(open.span.attributes['url.scheme'])
    const version = open.request.httpVersion
    const { inferredRoute = '' } = open
    const recorders = inferredRoute === '' ? ofRoutes : ofInferredRoutes
    let known = recorders.get(route || inferredRoute)
    if (!known) {
      if (recorders.size >= MOST_ROUTES) recorders.clear()
      recorders.set(route || inferredRoute, (known = []))
    }
    for (const r of known)
      if (
        r.status === status &&
        r.method === method &&
        r.errorType === errorType &&
        r.scheme === scheme &&
        r.version === version
      )
        return r
    const record = duration.bind(method, status, route, scheme, version, errorType, inferredRoute)
    const made = { method, status, scheme, version, errorType, record }
    if (known.length < MOST_WAYS) known.push(made)
    return made
  }
  return {
    started(open) {
      count(open, 1)
    },
    ended(open, endMs, status, errorType) {
      count(open, -1)
      const { record } = recorderOf(open, status === undefined ? '' : String(status), errorType ?? '')
      record((endMs - open.span.startMs) / 1000, open.record.ref, endMs)
    },
  }
}

/** Counts the open requests of a kind up and down. */
function activeRequests(metrics: MetricRegistry): (open: Open, by: number) => void {
  const active = metrics.gauge(
    'http_server_active_requests',
    'HTTP server requests that are being served.',
    ['http_request_method', 'url_scheme'],
    { across: 'sum' },
  )
  const plain = new Map<string, (by: number) => void>()
  const encrypted = new Map<string, (by: number) => void>()
  return ({ record: { method }, span }: Open, by: number): void => {
    const isEncrypted = span.attributes['url.scheme'] === 'https'
    const counts = isEncrypted ? encrypted : plain
    let count = counts.get(method)
    if (!count) counts.set(method, (count = active.bind(method, isEncrypted ? 'https' : 'http')))
    count(by)
  }
}

interface Recorder {
  readonly method: string
  readonly status: string
  readonly scheme: string
  readonly version: string
  readonly errorType: string
  readonly record: Record
}
const MOST_ROUTES = 1_000
const MOST_WAYS = 16
