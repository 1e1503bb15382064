import { AggregationTemporality, DataPointType, type MetricData } from '@opentelemetry/sdk-metrics'
import { expect, test } from 'vitest'
import { renderMetrics } from '../../src/metrics/exposition.ts'
import { toFamily } from '../../src/metrics/otel-bridge.ts'
import { readOpenMetrics } from './strict-open-metrics.ts'

test('an exponential histogram becomes one with bounds, and loses no measurement', () => {
  const metric = {
    descriptor: { name: 'e', description: '', unit: 's' },
    dataPointType: DataPointType.EXPONENTIAL_HISTOGRAM,
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
    dataPoints: [
      {
        startTime: [0, 0],
        endTime: [0, 0],
        attributes: {},
        value: {
          count: 10,
          sum: 30,
          scale: 0,
          zeroCount: 2,
          positive: { offset: 1, bucketCounts: [1, 0, 4] }, // (2,4] (4,8] (8,16]
          negative: { offset: 0, bucketCounts: [3] }, // [-2,-1)
        },
      },
    ],
  } as unknown as MetricData
  const text = renderMetrics([toFamily(metric, {})], true)
  readOpenMetrics(text)
  expect(text.split('\n').filter((line) => line.startsWith('e'))).toEqual([
    'e_seconds_bucket{le="-1.0"} 3',
    'e_seconds_bucket{le="0.0"} 5',
    'e_seconds_bucket{le="2.0"} 5',
    'e_seconds_bucket{le="4.0"} 6',
    'e_seconds_bucket{le="8.0"} 6',
    'e_seconds_bucket{le="16.0"} 10',
    'e_seconds_bucket{le="+Inf"} 10',
  ])
})
