import type { MetricRegistry } from '../metrics/registry.ts'
import type { Open } from './open-request.ts'

/** Semconv: http.server.request.duration. */
const BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
const DURATION_LABELS = [
  'http_request_method',
  'http_response_status_code',
  'http_route',
  'url_scheme',
  'network_protocol_version',
  'error_type',
]

export interface RequestMetrics {
  started(open: Open): void
  ended(open: Open, seconds: number, status: number | undefined, errorType: string | undefined): void
}

/** `http_server_request_duration_seconds` and `http_server_active_requests`. */
export function createRequestMetrics(metrics: MetricRegistry): RequestMetrics {
  const duration = metrics.histogram(
    'http_server_request_duration_seconds',
    'Duration of HTTP server requests.',
    'seconds',
    BOUNDS,
    DURATION_LABELS,
  )
  const active = metrics.gauge('http_server_active_requests', 'HTTP server requests that are being served.', [
    'http_request_method',
    'url_scheme',
  ])
  const counts = new Map<string, number>()
  const count = (open: Open, by: number): string => {
    const { method } = open.record
    const scheme = String(open.span.attributes['url.scheme'])
    const key = `${method} ${scheme}`
    const now = (counts.get(key) ?? 0) + by
    counts.set(key, now)
    active.set(now, method, scheme)
    return scheme
  }
  return {
    started(open) {
      count(open, 1)
    },
    ended(open, seconds, status, errorType) {
      const scheme = count(open, -1)
      const { method, route = '' } = open.record
      duration.record(
        seconds,
        method,
        status === undefined ? '' : String(status),
        route,
        scheme,
        open.request.httpVersion,
        errorType ?? '',
      )
    },
  }
}
