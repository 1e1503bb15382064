/** What JetStream answers of an account, a stream or a consumer, as far as a probe reads it. */
export interface JetStreamAnswer {
  readonly error?: { readonly code?: number; readonly description?: string }
  readonly storage?: number
  readonly limits?: { readonly max_storage?: number }
  readonly num_pending?: number
  readonly num_ack_pending?: number
  readonly num_redelivered?: number
  /** Of a consumer. */
  readonly delivered?: { readonly stream_seq?: number }
  readonly ack_floor?: { readonly stream_seq?: number }
  /** Of a stream. */
  readonly config?: { readonly discard?: string; readonly max_bytes?: number; readonly max_msgs?: number }
  readonly state?: { readonly bytes?: number; readonly messages?: number }
}
