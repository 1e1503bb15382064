/** `reason` is a word for a metric label: 'http_503', 'grpc_unavailable', 'timeout', 'ECONNREFUSED'. */
export interface OtlpReply {
  readonly ok: boolean
  readonly retryable: boolean
  readonly reason: string
  readonly retryAfterMs?: number
  /** The whole body has left: its memory may be used again. */
  readonly isBodyFree?: boolean
  /** Of a request that was taken: spans, data points or records in it that were not, and what the collector says of them. */
  readonly rejected?: number
  readonly message?: string
}
