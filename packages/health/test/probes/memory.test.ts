import { describe, expect, test, vi } from 'vitest'
import { probeConformance } from '../probe-conformance.ts'
import { groupMemory, judgeMemory, memoryProbe, oldGenerationLimit } from '../../src/probes/memory.ts'

const MIB = 1024 * 1024

function files(given: Readonly<Record<string, string>>): (path: string) => string | undefined {
  return (path) => given[path]
}

describe('the control group', () => {
  test('version 2: the tightest of the group and its parents, without page cache that can go', () => {
    const read = files({
      '/proc/self/cgroup': '0::/kube/pod/app\n',
      '/sys/fs/cgroup/kube/pod/app/memory.max': 'max\n',
      '/sys/fs/cgroup/kube/pod/memory.max': `${512 * MIB}\n`,
      '/sys/fs/cgroup/kube/pod/memory.current': `${300 * MIB}\n`,
      '/sys/fs/cgroup/kube/pod/memory.stat': `anon 1\ninactive_file ${100 * MIB}\nactive_file 5\n`,
      '/sys/fs/cgroup/kube/memory.max': `${4096 * MIB}\n`,
      '/sys/fs/cgroup/kube/memory.current': `${3000 * MIB}\n`,
    })
    expect(groupMemory(read)).toEqual({ limitBytes: 512 * MIB, usedBytes: 200 * MIB })
  })

  test('version 1, inside of a container that mounts only its own group', () => {
    const read = files({
      '/proc/self/cgroup': '9:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n0::/\n',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': `${260 * MIB}\n`,
      '/sys/fs/cgroup/memory/memory.usage_in_bytes': `${100 * MIB}\n`,
      '/sys/fs/cgroup/memory/memory.stat': `inactive_file 1\ntotal_inactive_file ${10 * MIB}\n`,
    })
    expect(groupMemory(read)).toEqual({ limitBytes: 260 * MIB, usedBytes: 90 * MIB })
  })

  test('no limit anywhere is no limit', () => {
    const v1 = {
      '/proc/self/cgroup': '4:memory:/a\n',
      '/sys/fs/cgroup/memory/a/memory.limit_in_bytes': '9223372036854771712\n',
    }
    expect(groupMemory(files(v1))).toBeUndefined()
    expect(groupMemory(files({ '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/memory.max': 'max' }))).toBeUndefined()
    expect(groupMemory(files({}))).toBeUndefined()
  })
})

describe('the verdict', () => {
  const calm = { residentBytes: 80 * MIB, oldLimitBytes: 96 * MIB }
  test('passes while there is room', () => {
    expect(judgeMemory({ ...calm, oldAfterGcBytes: 40 * MIB })).toMatchObject({ status: 'pass' })
    expect(judgeMemory(calm)).toMatchObject({ status: 'pass', observed: { utilization: { value: 0 } } })
  })
  test('warns by what survived a full collection, against what really kills the process', () => {
    // Used of heap_size_limit (288 MiB) this is 0.32.
    expect(judgeMemory({ ...calm, oldAfterGcBytes: 91 * MIB })).toMatchObject({
      status: 'warn',
      code: 'heap_near_limit',
    })
  })
  test('warns by the control group', () => {
    expect(judgeMemory({ ...calm, group: { limitBytes: 100, usedBytes: 90 } })).toMatchObject({
      status: 'warn',
      code: 'memory_near_limit',
      observed: { utilization: { value: 0.9 } },
    })
  })
})

test('the old generation is what the flag says, and without it the most of the whole', () => {
  expect(oldGenerationLimit(288 * MIB, 96)).toBe(96 * MIB)
  expect(oldGenerationLimit(4288 * MIB, undefined) / MIB).toBeCloseTo(4073.6)
})

test('the probe reads this process', async () => {
  const probe = memoryProbe({ oldSpaceLimitMb: undefined })
  const result = await probe.check(AbortSignal.timeout(1000))
  expect(['pass', 'warn']).toContain(result.status)
  expect(result.observed?.['resident']?.value).toBeGreaterThan(10 * MIB)
  expect(probe.criticality).toBe('optional')
})

test('a process without a file descriptor left is not one without memory', async () => {
  const rss = vi.spyOn(process.memoryUsage, 'rss').mockImplementation(() => {
    throw Object.assign(new Error('EMFILE: too many open files, uv_resident_set_memory'), { code: 'EMFILE' })
  })
  try {
    const result = await memoryProbe({ oldSpaceLimitMb: undefined }).check(AbortSignal.timeout(1000))
    expect(result.code).not.toBe('EMFILE')
    expect(result.observed).not.toHaveProperty('resident')
  } finally {
    rss.mockRestore()
  }
})

probeConformance('memory', {
  well: () =>
    memoryProbe({ oldSpaceLimitMb: 96, sample: () => ({ residentBytes: 50 * MIB, oldLimitBytes: 96 * MIB }) }),
  sick: () =>
    memoryProbe({
      oldSpaceLimitMb: 96,
      sample: () => ({ residentBytes: 200 * MIB, oldLimitBytes: 96 * MIB, oldAfterGcBytes: 95 * MIB }),
    }),
})

test('an old generation that one full collection after the other leaves full is a fault that a restart mends', () => {
  const full = { residentBytes: 0, oldLimitBytes: 100 * MIB, oldAfterGcBytes: 96 * MIB }
  expect(judgeMemory({ ...full, fullCollections: 4 })).toMatchObject({ status: 'warn', code: 'heap_near_limit' })
  expect(judgeMemory({ ...full, fullCollections: 5 })).toMatchObject({
    status: 'fail',
    code: 'heap_exhausted',
    cause: 'self_wedged',
  })
  expect(judgeMemory({ ...full, oldAfterGcBytes: 94 * MIB, fullCollections: 9 })).toMatchObject({ status: 'warn' })
})
