import { readdirSync, readFileSync } from 'node:fs'
import type { HealthProbe, ProbeResult } from '@afterspan/core/internal'

const INTERVAL_MS = 5000
const NEAR = 0.9

/** Undefined: this system does not tell. 'exhausted': even the question found no descriptor left. */
export type DescriptorSample = { readonly open: number; readonly limit: number } | 'exhausted' | undefined

/** Warns when the process has nearly as many files and sockets open as it may: the next connection would fail with EMFILE. */
export function fileDescriptorProbe(sample: () => DescriptorSample = sampleDescriptors): HealthProbe {
  return {
    name: 'file-descriptors',
    component: 'system',
    criticality: 'optional',
    intervalMs: INTERVAL_MS,
    check: async () => judgeDescriptors(sample()),
  }
}

/** What a sample means. Pure. */
export function judgeDescriptors(sample: DescriptorSample): ProbeResult {
  if (sample === undefined) return { status: 'pass' }
  if (sample === 'exhausted')
    return { status: 'fail', code: 'EMFILE', cause: 'self_recoverable', reason: 'no file descriptor is left' }
  const { open, limit } = sample
  const utilization = open / limit
  const observed = {
    utilization: { value: Math.round(utilization * 1000) / 1000 },
    open: { value: open, unit: 'count' },
    limit: { value: limit, unit: 'count' },
  }
  if (utilization < NEAR) return { status: 'pass', observed }
  return {
    status: 'warn',
    code: 'descriptors_near_limit',
    cause: 'self_recoverable',
    reason: `${open} of ${limit} file descriptors are open`,
    observed,
  }
}

/** Counting needs a descriptor itself: that there is none is the answer. */
export function sampleDescriptors(
  list: () => readonly string[] = () => readdirSync('/proc/self/fd'),
  limits: () => string = () => readFileSync('/proc/self/limits', 'utf8'),
): DescriptorSample {
  try {
    const open = list().length - 1 // the one of the count
    const limit = Number(/^Max open files\s+(\d+)/m.exec(limits())?.[1])
    return limit > 0 ? { open, limit } : undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EMFILE' ? 'exhausted' : undefined
  }
}
