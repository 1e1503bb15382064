import { expect, test } from 'vitest'
import type { MetricFamily } from '../../src/contracts/service.ts'
import type { EpochMs } from '../../src/contracts/task.ts'
import { createOwnMetrics } from '../../src/metrics/push/own-metrics.ts'

const TRACE = { trace_id: 'a'.repeat(32), span_id: 'b'.repeat(16) }

function families(requests: number, sum: number, active: number, at = 0): MetricFamily[] {
  return [
    {
      name: 'http_server_request_duration_seconds',
      type: 'histogram',
      help: 'Duration.',
      unit: 'seconds',
      samples: [
        {
          labels: { http_request_method: 'GET', http_response_status_code: '200', http_route: '/u/:id' },
          bounds: [0.1, 1],
          counts: [requests, 0, 0],
          sum,
          count: requests,
          exemplars: [{ labels: TRACE, value: 0.01, at: at as EpochMs }, undefined, undefined],
        },
      ],
    },
    {
      name: 'afterspan_tasks',
      type: 'counter',
      help: 'Tasks.',
      samples: [{ labels: { state: 'failed' }, value: requests }],
    },
    {
      name: 'http_server_active_requests',
      type: 'gauge',
      across: 'sum',
      help: 'Open.',
      samples: [{ labels: {}, value: active }],
    },
    {
      name: 'nodejs_eventloop_utilization',
      type: 'gauge',
      help: 'Busy.',
      unit: 'ratio',
      samples: [{ labels: {}, value: 0.5 }],
    },
    {
      name: 'process_resident_memory',
      type: 'gauge',
      help: 'Again.',
      unit: 'bytes',
      samples: [{ labels: {}, value: 1 }],
    },
    { name: 'target', type: 'info', help: 'Resource.', samples: [{ labels: { a: 'b' }, value: 1 }] },
  ]
}

test('own families carry the names, units and attributes of the semantic conventions', () => {
  const metrics = createOwnMetrics('cumulative', 1_000)(families(3, 0.3, 1), 61_000)
  expect(metrics.map(({ descriptor }) => [descriptor.name, descriptor.unit])).toEqual([
    ['http.server.request.duration', 's'],
    ['afterspan.tasks', ''],
    ['http.server.active_requests', '{request}'],
    ['nodejs.eventloop.utilization', '1'],
  ])
  expect(metrics[0]!.dataPoints[0]).toEqual({
    startTime: [1, 0],
    endTime: [61, 0],
    attributes: { 'http.request.method': 'GET', 'http.response.status_code': 200, 'http.route': '/u/:id' },
    value: { buckets: { boundaries: [0.1, 1], counts: [3, 0, 0] }, sum: 0.3, count: 3 },
    exemplars: [{ time: [0, 0], value: 0.01, traceId: TRACE.trace_id, spanId: TRACE.span_id }],
  })
})

test('deltas are what was added since the last time, and nothing where nothing was', () => {
  const collect = createOwnMetrics('delta', 0)
  collect(families(3, 0.3, 1), 10_000)
  const second = collect(families(5, 0.75, 2, 15_000), 20_000)
  expect(second.map(({ descriptor, aggregationTemporality }) => [descriptor.name, aggregationTemporality])).toEqual([
    ['http.server.request.duration', 0],
    ['afterspan.tasks', 0],
    ['http.server.active_requests', 1], // what goes down has no delta
    ['nodejs.eventloop.utilization', 0],
  ])
  expect(second[0]!.dataPoints).toMatchObject([
    { startTime: [10, 0], endTime: [20, 0], value: { buckets: { counts: [2, 0, 0] }, sum: 0.45, count: 2 } },
  ])
  expect(second[0]!.dataPoints[0]!.exemplars).toHaveLength(1)
  expect(second[1]!.dataPoints).toMatchObject([{ value: 2 }])
  const third = collect(families(5, 0.75, 2, 15_000), 30_000)
  expect(third.map(({ descriptor }) => descriptor.name)).toEqual([
    'http.server.active_requests',
    'nodejs.eventloop.utilization',
  ])
})

test('a counter that begins again is told as what it has come to since', () => {
  const collect = createOwnMetrics('delta', 0)
  collect(families(5, 1, 0), 10_000)
  const again = collect(families(2, 0.25, 0), 20_000)
  expect(again[0]!.dataPoints).toMatchObject([{ value: { sum: 0.25, count: 2 } }])
  expect(again[1]!.dataPoints).toMatchObject([{ value: 2 }])
})

test('what is measured of databases has the names of the semantic conventions, and connections go up and down', () => {
  const pool = { db_client_connection_pool_name: 'db:5432/shop' }
  const gauge = (name: string, labels: Readonly<Record<string, string>> = pool): MetricFamily => ({
    name,
    type: 'gauge',
    across: 'sum',
    help: 'Some.',
    samples: [{ labels, value: 2 }],
  })
  const asked = { db_system_name: 'postgresql', db_namespace: 'shop', db_operation_name: 'SELECT', server_port: '5432' }
  const metrics = createOwnMetrics('delta', 1_000)(
    [
      {
        name: 'db_client_operation_duration_seconds',
        type: 'histogram',
        help: 'Duration.',
        unit: 'seconds',
        samples: [{ labels: asked, bounds: [1], counts: [1, 0], sum: 0.5, count: 1 }],
      },
      gauge('db_client_connection_count', { ...pool, db_client_connection_state: 'used' }),
      gauge('db_client_connection_pending_requests'),
      gauge('db_client_connection_max'),
    ],
    61_000,
  )
  expect(metrics.map(({ descriptor: { name, unit }, dataPoints }) => [name, unit, dataPoints[0]!.attributes])).toEqual([
    [
      'db.client.operation.duration',
      's',
      { 'db.system.name': 'postgresql', 'db.namespace': 'shop', 'db.operation.name': 'SELECT', 'server.port': 5432 },
    ],
    [
      'db.client.connection.count',
      '{connection}',
      { 'db.client.connection.pool.name': 'db:5432/shop', 'db.client.connection.state': 'used' },
    ],
    ['db.client.connection.pending_requests', '{connection}', { 'db.client.connection.pool.name': 'db:5432/shop' }],
    ['db.client.connection.max', '{connection}', { 'db.client.connection.pool.name': 'db:5432/shop' }],
  ])
  expect(metrics.slice(1)).toMatchObject(Array.from({ length: 3 }, () => ({ dataPointType: 3, isMonotonic: false })))
})
