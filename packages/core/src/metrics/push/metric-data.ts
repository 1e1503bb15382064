import type { Attributes } from '@opentelemetry/api'

/** Seconds and nanoseconds since 1970, as OpenTelemetry has it. */
export type HrTime = readonly [number, number]

export interface PointExemplar {
  readonly time: HrTime
  readonly value: number
  readonly traceId: string
  readonly spanId: string
}
export interface DataPoint<T> {
  readonly startTime: HrTime
  readonly endTime: HrTime
  readonly attributes: Attributes
  readonly value: T
  readonly exemplars?: readonly PointExemplar[]
}
export interface HistogramValue {
  readonly buckets: { readonly boundaries: readonly number[]; readonly counts: readonly number[] }
  readonly sum?: number | undefined
  readonly count: number
  readonly min?: number | undefined
  readonly max?: number | undefined
}
export interface ExponentialValue {
  readonly count: number
  readonly sum?: number | undefined
  readonly min?: number | undefined
  readonly max?: number | undefined
  readonly scale: number
  readonly zeroCount: number
  readonly positive: ExponentialBuckets
  readonly negative: ExponentialBuckets
}
interface ExponentialBuckets {
  readonly offset: number
  readonly bucketCounts: readonly number[]
}

/** The official SDK's DataPointType and AggregationTemporality, by their numbers: those of the app's meters come as that SDK makes them. */
export const KIND = { histogram: 0, exponential: 1, gauge: 2, sum: 3 } as const
export const DELTA = 0
export const CUMULATIVE = 1

export interface Descriptor {
  readonly name: string
  readonly description: string
  readonly unit: string
  /** 0: whole numbers. */
  readonly valueType: number
}
export type PushMetric = { readonly descriptor: Descriptor; readonly aggregationTemporality: number } & (
  | { readonly dataPointType: typeof KIND.histogram; readonly dataPoints: readonly DataPoint<HistogramValue>[] }
  | { readonly dataPointType: typeof KIND.exponential; readonly dataPoints: readonly DataPoint<ExponentialValue>[] }
  | { readonly dataPointType: typeof KIND.gauge; readonly dataPoints: readonly DataPoint<number>[] }
  | {
      readonly dataPointType: typeof KIND.sum
      readonly isMonotonic: boolean
      readonly dataPoints: readonly DataPoint<number>[]
    }
)
export interface PushScope {
  readonly scope: {
    readonly name: string
    readonly version?: string | undefined
    readonly schemaUrl?: string | undefined
  }
  readonly metrics: readonly PushMetric[]
}

export type Temporality = 'cumulative' | 'delta' | 'lowmemory'
