import { readdirSync, readFileSync } from 'node:fs'
import { constants, monitorEventLoopDelay, PerformanceObserver, type IntervalHistogram } from 'node:perf_hooks'
import { getHeapStatistics } from 'node:v8'
import { isMainThread } from 'node:worker_threads'
import type { MetricFamily } from '../contracts/service.ts'
import type { MetricRegistry } from './registry.ts'

const one = (
  name: string,
  help: string,
  value: number,
  unit?: string,
  labels: Record<string, string> = {},
): MetricFamily => ({ name, type: 'gauge', help, ...(unit ? { unit } : {}), samples: [{ labels, value }] })

/** `process_*`, `nodejs_*` and `v8js_*`: read when they are asked for. The loop-delay histogram and the GC observer start at the first scrape, so nobody pays who does not scrape. */
export function addProcessMetrics(registry: MetricRegistry): void {
  const startedAt = Date.now() / 1000 - process.uptime()
  let loop: IntervalHistogram | undefined
  let utilization: ReturnType<typeof performance.eventLoopUtilization> | undefined
  const gc = registry.histogram(
    'v8js_gc_duration_seconds',
    'Garbage collection pauses by kind.',
    'seconds',
    [0.01, 0.1, 1, 10],
    ['v8js_gc_type'],
  )
  registry.callback(() => {
    if (!loop) {
      loop = monitorEventLoopDelay({ resolution: 20 })
      loop.enable()
      watchCollections(gc.record)
    }
    const since = utilization ? performance.eventLoopUtilization(utilization) : performance.eventLoopUtilization()
    utilization = performance.eventLoopUtilization()
    const cpu = process.cpuUsage()
    const heap = getHeapStatistics()
    const families: readonly MetricFamily[] = [
      one('process_resident_memory_bytes', 'Resident memory.', process.memoryUsage.rss(), 'bytes'),
      {
        name: 'process_cpu_seconds',
        type: 'counter',
        help: 'CPU time.',
        unit: 'seconds',
        samples: [
          { labels: { process_cpu_state: 'user' }, value: cpu.user / 1e6 },
          { labels: { process_cpu_state: 'system' }, value: cpu.system / 1e6 },
        ],
      },
      one('process_start_time_seconds', 'Start of the process, seconds since 1970.', startedAt, 'seconds'),
      one('process_uptime_seconds', 'Seconds since the process started.', process.uptime(), 'seconds'),
      one('nodejs_version_info', 'Version of Node.', 1, undefined, { version: process.version }),
      one(
        'nodejs_eventloop_utilization',
        'Share of time the event loop was busy since the last scrape.',
        since.utilization,
      ),
      one('v8js_memory_heap_used_bytes', 'Heap in use.', heap.used_heap_size, 'bytes'),
      one('v8js_memory_heap_limit_bytes', 'Heap limit, the young generation included.', heap.heap_size_limit, 'bytes'),
      one(
        'nodejs_active_resources',
        'Handles and requests that keep the loop alive.',
        process.getActiveResourcesInfo().length,
      ),
      ...loopDelay(loop),
      ...descriptors(),
    ]
    // A worker thread's process has told these already.
    return isMainThread ? families : families.filter(({ name }) => !name.startsWith('process_'))
  })
}

function loopDelay(loop: IntervalHistogram): MetricFamily[] {
  const seconds = (nanos: number): number => (Number.isFinite(nanos) ? nanos / 1e9 : 0)
  const none = loop.count === 0
  const values: [string, number][] = [
    ['min', none ? 0 : loop.min],
    ['max', loop.max],
    ['mean', loop.mean],
    ['p50', loop.percentile(50)],
    ['p90', loop.percentile(90)],
    ['p99', loop.percentile(99)],
  ]
  const families = values.map(([word, value]) =>
    one(
      `nodejs_eventloop_delay_${word}_seconds`,
      `Event loop delay since the last scrape, ${word}.`,
      seconds(value),
      'seconds',
    ),
  )
  loop.reset()
  return families
}

function watchCollections(record: (value: number, kind: string) => void): void {
  const kinds: Record<number, string> = {
    [constants.NODE_PERFORMANCE_GC_MAJOR]: 'major',
    [constants.NODE_PERFORMANCE_GC_MINOR]: 'minor',
    [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: 'incremental',
    [constants.NODE_PERFORMANCE_GC_WEAKCB]: 'weakcb',
  }
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries())
      record(
        entry.duration / 1000,
        kinds[(entry as unknown as { detail?: { kind?: number } }).detail?.kind ?? -1] ?? 'other',
      )
  }).observe({ entryTypes: ['gc'] })
}

function descriptors(): MetricFamily[] {
  try {
    const open = readdirSync('/proc/self/fd').length - 1
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))
    return [
      one('process_open_fds', 'Open file descriptors.', open),
      ...(limit ? [one('process_max_fds', 'Limit of open file descriptors.', Number(limit[1]))] : []),
    ]
  } catch {
    return []
  } // no /proc, or no descriptor left to read it with
}
