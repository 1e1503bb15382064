// `nodejs_*` and `v8js_*` of this thread, by OpenTelemetry's semantic conventions: read when they are asked for. What must be
// watched all the time (loop delay, garbage collections) is watched from the first scrape on, so nobody pays who does not scrape.
import { constants, monitorEventLoopDelay, PerformanceObserver, type IntervalHistogram } from 'node:perf_hooks'
import { getHeapSpaceStatistics, getHeapStatistics } from 'node:v8'
import { isMainThread } from 'node:worker_threads'
import type { MetricFamily } from '../contracts/service.ts'
import { gauge, processFamilies } from './process.ts'
import type { MetricRegistry } from './registry.ts'

const TICK_MS = 20

export function addRuntimeMetrics(registry: MetricRegistry): void {
  const gc = registry.histogram(
    'v8js_gc_duration',
    'Garbage collection pauses by kind.',
    'seconds',
    [0.01, 0.1, 1, 10],
    ['v8js_gc_type'],
  )
  let delay: IntervalHistogram | undefined
  let before: ReturnType<typeof performance.eventLoopUtilization> | undefined
  const resources = createResourceCount()
  registry.callback(() => {
    if (!delay) {
      delay = monitorEventLoopDelay({ resolution: TICK_MS })
      delay.enable()
      watchCollections(gc.record)
    }
    const loop = performance.eventLoopUtilization()
    const { utilization } = before ? performance.eventLoopUtilization(loop, before) : loop
    before = loop
    return [
      ...(isMainThread ? processFamilies() : []),
      gauge('nodejs_version_info', 'Version of Node.', 1, undefined, { version: process.version }),
      gauge(
        'nodejs_eventloop_utilization',
        'Share of the time since the last scrape that the event loop was busy.',
        utilization,
        'ratio',
      ),
      {
        name: 'nodejs_eventloop_time',
        type: 'counter',
        help: 'Time that the event loop was busy and idle.',
        unit: 'seconds',
        samples: [
          { labels: { nodejs_eventloop_state: 'active' }, value: loop.active / 1000 },
          { labels: { nodejs_eventloop_state: 'idle' }, value: loop.idle / 1000 },
        ],
      },
      ...loopDelay(delay),
      ...heap(),
      resources(),
    ]
  })
}

/** What the histogram holds is the time from one tick to the next: what is over their distance is delay. No family before the first tick. */
function loopDelay(delay: IntervalHistogram): MetricFamily[] {
  if (delay.count === 0) return []
  const values: readonly [string, number][] = [
    ['min', delay.min],
    ['max', delay.max],
    ['mean', delay.mean],
    ['p50', delay.percentile(50)],
    ['p90', delay.percentile(90)],
    ['p99', delay.percentile(99)],
  ]
  const seconds = values.map(([word, nanos]): [string, number] => [word, Math.max(0, nanos / 1e9 - TICK_MS / 1000)])
  seconds.push(['stddev', delay.stddev / 1e9])
  delay.reset()
  return seconds.map(([word, value]) =>
    gauge(`nodejs_eventloop_delay_${word}`, `Event loop delay since the last scrape, ${word}.`, value, 'seconds'),
  )
}

function heap(): MetricFamily[] {
  const spaces = getHeapSpaceStatistics()
  const bySpace = (name: string, help: string, of: (space: (typeof spaces)[number]) => number): MetricFamily => ({
    name: `v8js_memory_heap_${name}`,
    type: 'gauge',
    help,
    unit: 'bytes',
    samples: spaces.map((space) => ({ labels: { v8js_heap_space_name: space.space_name }, value: of(space) })),
  })
  return [
    gauge(
      'v8js_memory_heap_limit',
      'Where V8 gives up: --max-old-space-size and the young generation.',
      getHeapStatistics().heap_size_limit,
      'bytes',
    ),
    bySpace('used', 'Heap in use, by space.', (space) => space.space_used_size),
    bySpace('space_size', 'Heap that V8 has set aside, by space.', (space) => space.space_size),
    bySpace('space_available_size', 'Heap that is free, by space.', (space) => space.space_available_size),
    bySpace('space_physical_size', 'Heap that is committed, by space.', (space) => space.physical_space_size),
  ]
}

/** A kind that was there once stays at 0. */
function createResourceCount(): () => MetricFamily {
  const known = new Map<string, number>()
  return () => {
    for (const kind of known.keys()) known.set(kind, 0)
    for (const kind of process.getActiveResourcesInfo()) known.set(kind, (known.get(kind) ?? 0) + 1)
    return {
      name: 'v8js_resource_active',
      type: 'gauge',
      help: 'Open handles and requests that keep the event loop alive, by kind.',
      samples: Array.from(known, ([kind, value]) => ({ labels: { v8js_resource_type: kind }, value })),
    }
  }
}

function watchCollections(record: (value: number, kind: string) => void): void {
  const kinds: Record<number, string> = {
    [constants.NODE_PERFORMANCE_GC_MAJOR]: 'major',
    [constants.NODE_PERFORMANCE_GC_MINOR]: 'minor',
    [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: 'incremental',
    [constants.NODE_PERFORMANCE_GC_WEAKCB]: 'weakcb',
  }
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { detail } = entry as unknown as { readonly detail?: { readonly kind?: number } }
      record(entry.duration / 1000, kinds[detail?.kind ?? -1] ?? 'other')
    }
  }).observe({ entryTypes: ['gc'] })
}
