import { statfs, type StatsFs } from 'node:fs'
import { dirname } from 'node:path'
import type { HealthProbe, ProbeResult } from '@afterspan/core/internal'
import { untilAborted } from '../until-aborted.ts'

const INTERVAL_MS = 10_000
/** Both must be undercut: one in twenty of a small disk is little, of a large one it is not. */
const NEAR_SHARE = 0.05
const NEAR_BYTES = 1024 ** 3
const NEAR_INODES = 0.02

export interface DiskSample {
  readonly freeBytes: number
  readonly bytes: number
  readonly freeInodes: number
  /** 0 where the file system has no such limit. */
  readonly inodes: number
}

/** Warns when the file systems of these paths run out of bytes or of inodes; a path that is not there yet counts by the folder above it. */
export function diskProbe(
  paths: readonly string[],
  sample: (path: string) => Promise<DiskSample> = sampleDisk,
): HealthProbe {
  return {
    name: 'disk',
    component: 'system',
    criticality: 'optional',
    intervalMs: INTERVAL_MS,
    async check(signal) {
      const samples = await untilAborted(Promise.all(paths.map(sample)), signal)
      // A network file system that does not answer holds a thread, and whoever asks it.
      if (samples === 'late')
        return { status: 'warn', code: 'timeout', cause: 'dependency', reason: 'a file system did not answer' }
      return judgeDisks(samples)
    },
  }
}

/** The scarcest counts. Pure. */
export function judgeDisks(samples: readonly DiskSample[]): ProbeResult {
  const [scarcest] = samples.toSorted((a, b) => left(a) - left(b))
  if (!scarcest) return { status: 'pass' }
  const { freeBytes, bytes, freeInodes, inodes } = scarcest
  const observed = {
    utilization: { value: Math.round((1 - left(scarcest)) * 1000) / 1000 },
    free: { value: freeBytes, unit: 'bytes' },
    size: { value: bytes, unit: 'bytes' },
    ...(inodes > 0 ? { freeInodes: { value: freeInodes, unit: 'count' } } : {}),
  }
  const isFull = samples.some((each) => each.freeBytes === 0 || (each.inodes > 0 && each.freeInodes === 0))
  if (isFull)
    return { status: 'fail', code: 'disk_full', cause: 'dependency', reason: 'nothing can be written', observed }
  const isNear = samples.some(
    (each) =>
      (each.freeBytes < each.bytes * NEAR_SHARE && each.freeBytes < NEAR_BYTES) ||
      (each.inodes > 0 && each.freeInodes < each.inodes * NEAR_INODES),
  )
  if (!isNear) return { status: 'pass', observed }
  return { status: 'warn', code: 'disk_nearly_full', cause: 'dependency', reason: 'little can be written', observed }
}

function left({ freeBytes, bytes, freeInodes, inodes }: DiskSample): number {
  return Math.min(bytes > 0 ? freeBytes / bytes : 1, inodes > 0 ? freeInodes / inodes : 1)
}

/** What a user without privileges may still write, as `df` has it. */
export async function sampleDisk(path: string): Promise<DiskSample> {
  const { bavail, blocks, bsize, ffree, files } = await nearest(path)
  return { freeBytes: bavail * bsize, bytes: blocks * bsize, freeInodes: ffree, inodes: files }
}

function nearest(path: string): Promise<StatsFs> {
  return new Promise((resolve, reject) => {
    statfs(path, (error, stats) => {
      if (!error) resolve(stats)
      else if (error.code === 'ENOENT' && dirname(path) !== path) nearest(dirname(path)).then(resolve, reject)
      else reject(error)
    })
  })
}
