import { isSpanContextValid, TraceFlags, type SpanContext } from '@opentelemetry/api'
import type { MetricRegistry } from '../metrics/registry.ts'
import { DURATION_BOUNDS } from './request-metrics.ts'

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', 'QUERY'])

/** What is known of an outgoing request when it ends. */
export interface ClientMeasure {
  /** performance.now(). */
  readonly startedAt: number
  readonly method: string
  readonly address: string
  port: number
  readonly scheme: 'http' | 'https'
  status?: string
  version?: string
  errorType?: string
}

export type MeasureClient = (measure: ClientMeasure, span: SpanContext) => void

/** `http_client_request_duration_seconds` of node:http, https and http2; fetch is measured by its own instrumentation. */
export function createClientMetrics(metrics: MetricRegistry): MeasureClient {
  const duration = metrics.histogram(
    'http_client_request_duration_seconds',
    'Duration of HTTP client requests.',
    'seconds',
    DURATION_BOUNDS,
    [
      'http_request_method',
      'http_response_status_code',
      'server_address',
      'server_port',
      'url_scheme',
      'network_protocol_version',
      'error_type',
    ],
  )
  return ({ startedAt, method, address, port, scheme, status = '', version = '', errorType = '' }, span) => {
    const known = METHODS.has(method) ? method : '_OTHER'
    const record = duration.bind(known, status, address, String(port), scheme, version, errorType)
    const sampled = isSpanContextValid(span) && (span.traceFlags & TraceFlags.SAMPLED) !== 0
    const { traceId, spanId } = span
    record((performance.now() - startedAt) / 1000, { traceId, spanId, sampled }, Date.now())
  }
}
