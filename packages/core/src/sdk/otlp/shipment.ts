import type { SpanBatch } from './span-batch.ts'

/** What goes in one request: errors in a batch of their own, since they are kept when others go. */
export interface Shipment {
  readonly batches: readonly SpanBatch[]
  readonly spans: number
}

export interface UnderWay extends Shipment {
  readonly body: readonly Uint8Array[]
}
