// ExportMetricsServiceRequest. Field numbers: opentelemetry-proto v1.7, metrics.proto.
import type { Attributes } from '@opentelemetry/api'
import { ProtobufMessage } from '../../sdk/otlp/protobuf-message.ts'
import {
  KIND,
  type DataPoint,
  type Descriptor,
  type ExponentialValue,
  type HistogramValue,
  type HrTime,
  type PointExemplar,
  type PushMetric,
  type PushScope,
} from './metric-data.ts'

const INT = 0

export function encodeMetrics(resource: Attributes, scopes: readonly PushScope[]): Buffer {
  return new ProtobufMessage()
    .message(1, (resourceMetrics) => {
      resourceMetrics.message(1, (message) => message.attributes(1, resource))
      for (const { scope, metrics } of scopes)
        resourceMetrics.message(2, (message) => {
          message.message(1, (own) => own.text(1, scope.name).text(2, scope.version))
          for (const metric of metrics) message.message(2, (own) => encodeMetric(own, metric))
          message.text(3, scope.schemaUrl)
        })
    })
    .encoded()
}

function encodeMetric(message: ProtobufMessage, metric: PushMetric): void {
  const { name, description, unit } = metric.descriptor
  message.text(1, name).text(2, description).text(3, unit)
  const temporality = metric.aggregationTemporality + 1
  switch (metric.dataPointType) {
    case KIND.gauge:
      message.message(5, (gauge) => numbers(gauge, metric.dataPoints, metric.descriptor))
      return
    case KIND.sum:
      message.message(7, (sum) => {
        numbers(sum, metric.dataPoints, metric.descriptor)
        sum.varint(2, temporality)
        if (metric.isMonotonic) sum.varint(3, 1)
      })
      return
    case KIND.histogram:
      message.message(9, (histogram) => {
        for (const point of metric.dataPoints) histogram.message(1, (own) => encodeHistogram(own, point))
        histogram.varint(2, temporality)
      })
      return
    case KIND.exponential:
      message.message(10, (histogram) => {
        for (const point of metric.dataPoints) histogram.message(1, (own) => encodeExponential(own, point))
        histogram.varint(2, temporality)
      })
  }
}

function numbers(message: ProtobufMessage, points: readonly DataPoint<number>[], { valueType }: Descriptor): void {
  for (const { startTime, endTime, value, attributes, exemplars } of points)
    message.message(1, (point) => {
      point.fixed64(2, nanos(startTime)).fixed64(3, nanos(endTime))
      if (valueType === INT && Number.isSafeInteger(value)) point.fixed64(6, BigInt(value))
      else point.double(4, value)
      encodeExemplars(point, 5, exemplars)
      point.attributes(7, attributes)
    })
}

function encodeHistogram(message: ProtobufMessage, point: DataPoint<HistogramValue>): void {
  const { buckets, count, sum, min, max } = point.value
  message.fixed64(2, nanos(point.startTime)).fixed64(3, nanos(point.endTime)).fixed64(4, BigInt(count))
  if (sum !== undefined) message.double(5, sum)
  message.fixed64s(6, buckets.counts).doubles(7, buckets.boundaries)
  encodeExemplars(message, 8, point.exemplars)
  message.attributes(9, point.attributes)
  if (count > 0 && min !== undefined && max !== undefined) message.double(11, min).double(12, max)
}

function encodeExponential(message: ProtobufMessage, point: DataPoint<ExponentialValue>): void {
  const { count, sum, scale, zeroCount, positive, negative, min, max } = point.value
  message.attributes(1, point.attributes)
  message.fixed64(2, nanos(point.startTime)).fixed64(3, nanos(point.endTime)).fixed64(4, BigInt(count))
  if (sum !== undefined) message.double(5, sum)
  message.signed(6, scale).fixed64(7, BigInt(zeroCount))
  message.message(8, (own) => encodeBuckets(own, positive))
  message.message(9, (own) => encodeBuckets(own, negative))
  encodeExemplars(message, 11, point.exemplars)
  if (count > 0 && min !== undefined && max !== undefined) message.double(12, min).double(13, max)
}

function encodeBuckets(message: ProtobufMessage, { offset, bucketCounts }: ExponentialValue['positive']): void {
  if (offset !== 0) message.signed(1, offset)
  if (bucketCounts.length > 0) message.varints(2, bucketCounts)
}

function encodeExemplars(message: ProtobufMessage, field: number, exemplars: readonly PointExemplar[] = []): void {
  for (const { time, value, spanId, traceId } of exemplars)
    message.message(field, (own) => own.fixed64(2, nanos(time)).double(3, value).hex(4, spanId).hex(5, traceId))
}

export function nanos([seconds, nanoseconds]: HrTime): bigint {
  return BigInt(seconds) * 1_000_000_000n + BigInt(Math.round(nanoseconds))
}
