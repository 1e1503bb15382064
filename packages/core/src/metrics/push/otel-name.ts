// What Afterspan's own families are called in OpenTelemetry. They are kept as Prometheus has them; the semantic conventions are the table.
import type { Attributes } from '@opentelemetry/api'
import type { MetricFamily } from '../../contracts/service.ts'

export interface OtelName {
  readonly name: string
  readonly unit: string
  /** Gauges that the semantic conventions have as an UpDownCounter. */
  readonly isUpDown: boolean
}

const UNITS: Readonly<Record<string, string>> = { seconds: 's', bytes: 'By', ratio: '1' }

const NAMES: Readonly<Record<string, string>> = {
  db_client_connection_pending_requests: 'db.client.connection.pending_requests',
  http_client_request_duration: 'http.client.request.duration',
  http_server_active_requests: 'http.server.active_requests',
  http_server_request_duration: 'http.server.request.duration',
  process_open_fds: 'process.unix.file_descriptor.count',
  process_max_fds: 'process.unix.file_descriptor.limit',
  process_start_time: 'process.start_time',
  v8js_memory_heap_space_available_size: 'v8js.memory.heap.space.available_size',
  v8js_memory_heap_space_physical_size: 'v8js.memory.heap.space.physical_size',
}
const NOUNS: Readonly<Record<string, string>> = {
  'db.client.connection.count': '{connection}',
  'db.client.connection.max': '{connection}',
  'db.client.connection.pending_requests': '{connection}',
  'http.server.active_requests': '{request}',
  'process.unix.file_descriptor.count': '{file_descriptor}',
  'process.unix.file_descriptor.limit': '{file_descriptor}',
  'v8js.resource.active': '{resource}',
}
const UP_DOWN =
  /^(?:db\.client\.connection\.\w+|http\.server\.active_requests|process\.memory\.usage|process\.unix\.file_descriptor\.\w+|v8js\.memory\.heap\..*)$/

/** Said a second time, for Prometheus alone; or said by the resource. */
const LEFT_OUT = new Set(['nodejs_version_info', 'process_cpu', 'process_resident_memory', 'target'])

/** Undefined: it is not for OTLP. */
export function otelName({ name, type, unit }: MetricFamily): OtelName | undefined {
  const word = unit ?? (name.endsWith('_seconds') ? 'seconds' : undefined)
  const base = word && name.endsWith(`_${word}`) ? name.slice(0, -word.length - 1) : name
  if (LEFT_OUT.has(base) || type === 'info') return undefined
  const own = NAMES[base] ?? base.replaceAll('_', '.')
  return { name: own, unit: UNITS[word ?? ''] ?? NOUNS[own] ?? '', isUpDown: type === 'gauge' && UP_DOWN.test(own) }
}

const ATTRIBUTES: Readonly<Record<string, string>> = {
  afterspan_http_inferred_route: 'afterspan.http.inferred_route',
  cpu_mode: 'cpu.mode',
  db_client_connection_pool_name: 'db.client.connection.pool.name',
  db_client_connection_state: 'db.client.connection.state',
  db_namespace: 'db.namespace',
  db_operation_name: 'db.operation.name',
  db_system_name: 'db.system.name',
  error_type: 'error.type',
  http_request_method: 'http.request.method',
  http_response_status_code: 'http.response.status_code',
  http_route: 'http.route',
  network_protocol_version: 'network.protocol.version',
  nodejs_eventloop_state: 'nodejs.eventloop.state',
  otel_metric_overflow: 'otel.metric.overflow',
  server_address: 'server.address',
  server_port: 'server.port',
  url_scheme: 'url.scheme',
  v8js_gc_type: 'v8js.gc.type',
  v8js_heap_space_name: 'v8js.heap.space.name',
  v8js_resource_type: 'v8js.resource.type',
}
const WHOLE_NUMBERS = new Set(['http.response.status_code', 'server.port'])

export function otelAttributes(labels: Readonly<Record<string, string>>): Attributes {
  const out: Attributes = {}
  for (const [label, value] of Object.entries(labels)) {
    const name = ATTRIBUTES[label] ?? label
    if (WHOLE_NUMBERS.has(name) && /^\d+$/.test(value)) out[name] = Number(value)
    else if (name === 'otel.metric.overflow') out[name] = true
    else out[name] = value
  }
  return out
}
