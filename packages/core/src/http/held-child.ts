import type { SpanData, SpanScope } from '../sdk/span-data.ts'

/** A finished span of a request that nobody sampled. */
export interface HeldChild {
  readonly scope: SpanScope
  readonly data: SpanData
}
