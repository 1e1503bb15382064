/** Every code that a body may show to everybody, beside SQLSTATEs. Whatever a driver says beyond these stays inside. */
const CODES: ReadonlySet<string> = new Set([
  // the engine's own
  'error',
  'invalid_result',
  'pending',
  'stale',
  'starting',
  'timeout',
  // PostgreSQL
  'auth_failed',
  'connection_lost',
  'in_recovery',
  'pool_dead',
  'pool_exhausted',
  'pool_saturated',
  'read_only',
  'slots_near_limit',
  'tls',
  // MySQL and MariaDB
  'disk_full',
  'lock_timeout',
  'locked',
  'no_database',
  'no_permission',
  'too_many_connections',
  // Redis: its refusals by their own names, and the client's states
  'BUSY',
  'CLUSTERDOWN',
  'CROSSSLOT',
  'DENIED',
  'LOADING',
  'MASTERDOWN',
  'MISCONF',
  'MOVED',
  'NOAUTH',
  'NOPERM',
  'NOREPLICAS',
  'OOM',
  'READONLY',
  'TRYAGAIN',
  'WRONGPASS',
  'client_ended',
  'not_connected',
  'round_trip_mismatch',
  // gRPC: its statuses, and what a server says of itself
  'ABORTED',
  'CANCELLED',
  'DATA_LOSS',
  'FAILED_PRECONDITION',
  'INTERNAL',
  'INVALID_ARGUMENT',
  'NOT_SERVING',
  'OUT_OF_RANGE',
  'RESOURCE_EXHAUSTED',
  'UNAVAILABLE',
  'UNKNOWN',
  // MongoDB
  'no_primary',
  // NATS
  'jetstream_unavailable',
  'server_leaving',
  'storage_full',
  'storage_near_limit',
  'stream_gone',
  // RabbitMQ
  'blocked',
  'channel_closed',
  'channels_exhausted',
  'confirms_overdue',
  'consumer_cancelled',
  'consumer_gone',
  'consumer_stuck',
  'queue_gone',
  // queues of jobs
  'jobs_stalled',
  'no_worker',
  'queue_paused',
  'too_many_waiting',
  'waiting_too_long',
  // Kafka
  'brokers_unreachable',
  'consumer_crashed',
  'offline_partitions',
  'topic_gone',
  'under_min_isr',
  // the process
  'clock_stepped',
  'descriptors_near_limit',
  'disk_nearly_full',
  'event_loop_delay',
  'event_loop_saturated',
  'heap_exhausted',
  'heap_near_limit',
  'heartbeat_missed',
  'memory_near_limit',
  'request_overdue',
  'thread_pool_saturated',
  // the ledger
  'false_success',
  'ledger_unavailable',
  'no_patrol',
  'patrol_silent',
  'task_overdue',
  'tasks_lost',
  // HTTP
  'certificate_expired',
  'certificate_expires_soon',
  'too_slow',
  'unexpected_body',
  'unexpected_content_type',
  'unexpected_redirect',
  'unexpected_status',
  // the network
  'EAI_AGAIN',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'EMFILE',
  'ENETDOWN',
  'ENETUNREACH',
  'ENOENT',
  'ENOTFOUND',
  'EPIPE',
  'EPROTO',
  'ETIMEDOUT',
])

/** Five characters of which one at least is a digit: no word of a person's language looks like that. */
export const SQLSTATE = /^(?=[0-9A-Z]{5}$)[0-9A-Z]*\d[0-9A-Z]*$/

/** The code if it is in the table, else 'error': a name, host or user can never pass as one. */
export function publicCode(code: unknown): string | undefined {
  if (code === undefined || code === null) return undefined
  return typeof code === 'string' && (CODES.has(code) || SQLSTATE.test(code)) ? code : 'error'
}

/** The code of a network error where it is one of the table: what Node calls it, without host and port. */
export function networkCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code
  return typeof code === 'string' && /^E[A-Z_]+$/.test(code) && CODES.has(code) ? code : undefined
}
