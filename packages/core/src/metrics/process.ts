// `process_*`: of the process as a whole, told by its main thread. By OpenTelemetry's semantic conventions, and where Prometheus's
// own clients have a name that every dashboard knows (process_resident_memory_bytes), by that one too.
import { readdirSync, readFileSync } from 'node:fs'
import type { MetricFamily, MetricSample } from '../contracts/service.ts'

export function processFamilies(): MetricFamily[] {
  const cpu = process.cpuUsage()
  const rss = process.memoryUsage.rss()
  return [
    gauge('process_memory_usage', 'Resident memory.', rss, 'bytes'),
    gauge('process_resident_memory', "Resident memory, by Prometheus's own name.", rss, 'bytes'),
    {
      name: 'process_cpu_time',
      type: 'counter',
      help: 'CPU time of all threads.',
      unit: 'seconds',
      samples: [
        { labels: { cpu_mode: 'user' }, value: cpu.user / 1e6 },
        { labels: { cpu_mode: 'system' }, value: cpu.system / 1e6 },
      ],
    },
    {
      name: 'process_cpu',
      type: 'counter',
      help: "CPU time of all threads, by Prometheus's own name.",
      unit: 'seconds',
      samples: [{ labels: {}, value: (cpu.user + cpu.system) / 1e6 }],
    },
    gauge('process_start_time', 'Start of the process, seconds since 1970.', startedAt(), 'seconds'),
    gauge('process_uptime', 'Seconds since the process started.', process.uptime(), 'seconds'),
    ...descriptors(),
  ]
}

export function gauge(
  name: string,
  help: string,
  value: number,
  unit?: string,
  labels: MetricSample['labels'] = {},
): MetricFamily {
  return { name, type: 'gauge', help, ...(unit ? { unit } : {}), samples: [{ labels, value }] }
}

function startedAt(): number {
  return (performance.timeOrigin + performance.now()) / 1000 - process.uptime()
}

function descriptors(): MetricFamily[] {
  try {
    const open = readdirSync('/proc/self/fd').length - 1
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))
    return [
      // By Prometheus's own name alone: it allows no gauge that ends in _count, as the semantic conventions' does.
      gauge('process_open_fds', 'Open file descriptors.', open),
      ...(limit ? [gauge('process_max_fds', 'Limit of open file descriptors.', Number(limit[1]))] : []),
    ]
  } catch {
    return []
  } // no /proc, or no descriptor left to read it with
}
