import type { MetricRegistry, ProbeStatus } from '@afterspan/core/internal'

const VALUES: Readonly<Record<ProbeStatus, number>> = { pass: 1, warn: 0.5, fail: 0 }

export interface HealthMetrics {
  /** The status as it counts for the whole: an optional check never shows 0. */
  status(name: string, status: ProbeStatus): void
  duration(name: string, ms: number): void
  abandoned(name: string): void
  /** The series of a probe that is gone goes with it. */
  forget(name: string): void
}

/** `afterspan_health_check_*`: no series before the first probe. */
export function createHealthMetrics(registry: MetricRegistry): HealthMetrics {
  const status = registry.gauge(
    'afterspan_health_check_status',
    'Status of a health check: 1 pass, 0.5 warn, 0 fail.',
    ['name'],
  )
  const duration = registry.histogram(
    'afterspan_health_check_duration_seconds',
    'How long health checks took; a check that was given up counts with the time until then.',
    'seconds',
    [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2.5, 5],
    ['name'],
  )
  const abandoned = registry.counter(
    'afterspan_health_checks_abandoned',
    'Health checks that had not settled when they were given up at their deadline.',
    ['name'],
  )
  return {
    status: (name, word) => status.set(VALUES[word], name),
    duration: (name, ms) => duration.record(ms / 1000, name),
    abandoned: (name) => abandoned.add(1, name),
    forget: (name) => status.remove(name),
  }
}
