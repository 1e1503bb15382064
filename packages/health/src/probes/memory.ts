import { readFileSync } from 'node:fs'
import { constants, PerformanceObserver } from 'node:perf_hooks'
import { getHeapSpaceStatistics, getHeapStatistics } from 'node:v8'
import type { HealthProbe, ProbeResult } from '@afterspan/core/internal'

const INTERVAL_MS = 5000
const NEAR = 0.9
const FULL = 0.95
/** In a row; a burst is over by then. */
const FULL_COLLECTIONS = 5
const MIB = 1024 * 1024

export interface MemorySample {
  /** Unknown where no file descriptor is left to read it by. */
  readonly residentBytes?: number
  /** The tightest limit of this process's control group and its parents, and what that group uses; absent where none is limited. */
  readonly group?: { readonly limitBytes: number; readonly usedBytes: number }
  /** What survived the last full collection; absent until there was one. */
  readonly oldAfterGcBytes?: number
  readonly oldLimitBytes: number
  /** Full collections in a row, the last one included, that left the old generation as good as full. */
  readonly fullCollections?: number
}

/**
 * Warns when memory is nearly used up: the control group's, or the old generation after a full collection. Fails where one full collection
 * after the other frees nothing any more: then V8 only collects until it gives up, and a restart is the better end.
 */
export function memoryProbe(given: {
  readonly oldSpaceLimitMb: number | undefined
  readonly sample?: () => MemorySample
}): HealthProbe {
  const sample = given.sample ?? memorySampler(given.oldSpaceLimitMb)
  return {
    name: 'memory',
    component: 'system',
    criticality: 'optional',
    intervalMs: INTERVAL_MS,
    check: async () => judgeMemory(sample()),
  }
}

/** What a sample means. Pure. */
export function judgeMemory(sample: MemorySample): ProbeResult {
  const { residentBytes, group, oldAfterGcBytes, oldLimitBytes, fullCollections = 0 } = sample
  const ofGroup = group ? group.usedBytes / group.limitBytes : 0
  const ofHeap = oldAfterGcBytes === undefined ? 0 : oldAfterGcBytes / oldLimitBytes
  const bytes = (value: number): { value: number; unit: string } => ({ value: Math.round(value), unit: 'bytes' })
  const observed = {
    utilization: { value: Math.round(Math.max(ofGroup, ofHeap) * 1000) / 1000 },
    ...(residentBytes === undefined ? {} : { resident: bytes(residentBytes) }),
    oldSpaceLimit: bytes(oldLimitBytes),
    ...(oldAfterGcBytes === undefined ? {} : { oldSpaceAfterGc: bytes(oldAfterGcBytes) }),
    ...(group ? { groupUsed: bytes(group.usedBytes), groupLimit: bytes(group.limitBytes) } : {}),
  }
  if (ofHeap >= FULL && fullCollections >= FULL_COLLECTIONS)
    return {
      status: 'fail',
      code: 'heap_exhausted',
      cause: 'self_wedged',
      reason: `the old generation held ${percent(ofHeap)} of its limit after each of ${fullCollections} full collections`,
      observed,
    }
  if (ofHeap >= NEAR)
    return {
      status: 'warn',
      code: 'heap_near_limit',
      cause: 'self_recoverable',
      reason: `the old generation holds ${percent(ofHeap)} of its limit after a full collection`,
      observed,
    }
  if (ofGroup >= NEAR)
    return {
      status: 'warn',
      code: 'memory_near_limit',
      cause: 'self_recoverable',
      reason: `the control group uses ${percent(ofGroup)} of its memory limit`,
      observed,
    }
  return { status: 'pass', observed }
}

/** Old generation: heap_size_limit counts the young generation in, so a process dies far below it. */
export function oldGenerationLimit(heapSizeLimitBytes: number, oldSpaceLimitMb: number | undefined): number {
  // Without the flag V8 keeps at most 3/67 of the whole for the young generation (3 semi-spaces of 1/64 of the old one).
  return oldSpaceLimitMb ? oldSpaceLimitMb * MIB : heapSizeLimitBytes * 0.95
}

/**
 * The tightest memory limit among a process's control group and its parents, version 2 or 1. In a container the path that
 * /proc tells may lie outside of what is mounted: then the nearest parent that is there counts.
 */
export function groupMemory(read: (path: string) => string | undefined = readText): MemorySample['group'] {
  const lines = (read('/proc/self/cgroup') ?? '').split('\n')
  const v1 = lines.find((line) => /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:/.test(line))
  const v2 = lines.find((line) => line.startsWith('0::'))
  if (v1) {
    const found = tightest('/sys/fs/cgroup/memory', v1.slice(v1.indexOf(':/') + 1), read, V1)
    if (found) return found
  }
  return v2 ? tightest('/sys/fs/cgroup', v2.slice('0::'.length), read, V2) : undefined
}

interface Files {
  readonly limit: string
  readonly used: string
  readonly inactive: RegExp
}
const V1: Files = {
  limit: 'memory.limit_in_bytes',
  used: 'memory.usage_in_bytes',
  inactive: /^total_inactive_file (\d+)$/m,
}
const V2: Files = { limit: 'memory.max', used: 'memory.current', inactive: /^inactive_file (\d+)$/m }
/** Version 1 says "none" by a number near 2^63. */
const NO_LIMIT = 2 ** 60

function tightest(
  root: string,
  path: string,
  read: (path: string) => string | undefined,
  files: Files,
): MemorySample['group'] {
  let best: { limitBytes: number; folder: string } | undefined
  const parts = path.split('/').filter((part) => part !== '')
  for (let depth = parts.length; depth >= 0; depth--) {
    const folder = [root, ...parts.slice(0, depth)].join('/')
    const limitBytes = Number((read(`${folder}/${files.limit}`) ?? 'max').trim())
    if (limitBytes > 0 && limitBytes < NO_LIMIT && limitBytes < (best?.limitBytes ?? Infinity))
      best = { limitBytes, folder }
  }
  if (!best) return undefined
  const used = Number(read(`${best.folder}/${files.used}`))
  if (!Number.isFinite(used)) return undefined
  // The page cache goes before anything is killed.
  const inactive = Number(files.inactive.exec(read(`${best.folder}/memory.stat`) ?? '')?.[1] ?? 0)
  return { limitBytes: best.limitBytes, usedBytes: Math.max(0, used - inactive) }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

/** Watches full collections from the first round on. */
function memorySampler(oldSpaceLimitMb: number | undefined): () => MemorySample {
  let oldAfterGcBytes: number | undefined
  let fullCollections = 0
  let watching = false
  const limit = (): number => oldGenerationLimit(getHeapStatistics().heap_size_limit, oldSpaceLimitMb)
  return () => {
    if (!watching) {
      watching = true
      watchFullCollections(() => {
        oldAfterGcBytes = oldGenerationBytes()
        fullCollections = oldAfterGcBytes >= FULL * limit() ? fullCollections + 1 : 0
      })
    }
    const group = groupMemory()
    const resident = residentBytes()
    return {
      ...(resident === undefined ? {} : { residentBytes: resident }),
      oldLimitBytes: limit(),
      fullCollections,
      ...(oldAfterGcBytes === undefined ? {} : { oldAfterGcBytes }),
      ...(group ? { group } : {}),
    }
  }
}

/** That it cannot be read for want of a descriptor is another check's to tell. */
function residentBytes(): number | undefined {
  try {
    return process.memoryUsage.rss()
  } catch {
    return undefined
  }
}

function watchFullCollections(onCollected: () => void): void {
  new PerformanceObserver((list) => {
    const major = list
      .getEntries()
      .some(
        (entry) =>
          (entry as unknown as { detail?: { kind?: number } }).detail?.kind === constants.NODE_PERFORMANCE_GC_MAJOR,
      )
    if (major) onCollected()
  }).observe({ entryTypes: ['gc'] })
}

function oldGenerationBytes(): number {
  return getHeapSpaceStatistics()
    .filter(({ space_name: name }) => name !== 'read_only_space' && !name.startsWith('new_'))
    .reduce((sum, space) => sum + space.space_used_size, 0)
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`
}
