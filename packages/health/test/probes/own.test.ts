import { expect, test } from 'vitest'
import { probeConformance } from '../probe-conformance.ts'
import { clockProbe, judgeStep } from '../../src/probes/clock.ts'
import { diskProbe, judgeDisks, sampleDisk } from '../../src/probes/disk.ts'
import { judgeRequests, requestsProbe } from '../../src/probes/requests.ts'
import { judgeThreadPool, threadPoolProbe } from '../../src/probes/thread-pool.ts'
import { settled } from '../fake-time.ts'

const GIB = 1024 ** 3
const roomy = { freeBytes: 50 * GIB, bytes: 100 * GIB, freeInodes: 900, inodes: 1000 }
const forever = (): Promise<never> => new Promise(() => {})
const { signal } = new AbortController()

test.for([
  ['half full', {}, undefined],
  ['nearly full of bytes', { freeBytes: GIB / 2 }, 'disk_nearly_full'],
  ['little left of a large one, which is much', { freeBytes: 4 * GIB }, undefined],
  ['nearly full of inodes', { freeInodes: 19 }, 'disk_nearly_full'],
  ['without a limit of inodes', { freeInodes: 0, inodes: 0 }, undefined],
  ['full of bytes', { freeBytes: 0 }, 'disk_full'],
  ['full of inodes', { freeInodes: 0 }, 'disk_full'],
] as const)('a disk that is %s', ([, change, code]) => {
  const result = judgeDisks([roomy, { ...roomy, ...change }])
  expect(result.code).toBe(code)
  expect(result.observed).toHaveProperty('free')
})

test('a folder that is not there yet counts by the one above it', async () => {
  const [above, below] = await Promise.all([sampleDisk('/'), sampleDisk('/not/there/yet')])
  expect([below.bytes, below.inodes]).toEqual([above.bytes, above.inodes])
  expect(above.bytes).toBeGreaterThan(0)
})

test('the thread pool: a wait is told while it lasts, and asked for once', async () => {
  let asked = 0
  let free = (): void => {}
  const probe = threadPoolProbe(() => {
    asked++
    return new Promise<void>((resolve) => (free = resolve))
  })
  for (let i = 0; i < 2; i++) {
    const controller = new AbortController()
    const answer = probe.check(controller.signal)
    controller.abort()
    expect(await answer).toMatchObject({ status: 'warn', code: 'thread_pool_saturated' })
  }
  expect(asked).toBe(1)
  free()
  await settled()
  const answer = probe.check(signal)
  free()
  expect(await answer).toMatchObject({ status: 'pass', observed: { wait: { unit: 'ms' } } })
  expect(judgeThreadPool(600, false, 12)).toMatchObject({ status: 'warn', code: 'thread_pool_saturated' })
})

test('the thread pool was called saturated where the event loop had stood still', () => {
  expect(judgeThreadPool(600, false, 1)).toMatchObject({ status: 'pass' })
  expect(judgeThreadPool(5000, true, 1)).toMatchObject({ status: 'warn' })
})

test('the clock: a step is told once, slewing is not', async () => {
  let wall = 1_000_000
  let up = 0
  const probe = clockProbe(
    () => wall,
    () => up,
  )
  const round = async (wallMs: number, upMs: number): Promise<string | undefined> => {
    wall += wallMs
    up += upMs
    return (await probe.check(signal)).code
  }
  expect([await round(0, 0), await round(5002, 5000), await round(-55_000, 5000), await round(5000, 5000)]).toEqual([
    undefined,
    undefined,
    'clock_stepped',
    undefined,
  ])
  expect(judgeStep(-3_600_000).reason).toBe('the clock went back by 3600000 ms')
})

test('the oldest request is told, and is a warning only where a limit was set', () => {
  const oldest = { count: 3, ageMs: 90_000, traceId: '0af7651916cd43dd8448eb211c80319c' }
  expect(judgeRequests(undefined, 1000)).toMatchObject({ status: 'pass', observed: { inFlight: { value: 0 } } })
  expect(judgeRequests(oldest, 0)).toMatchObject({ status: 'pass', observed: { oldest: { value: 90_000 } } })
  expect(judgeRequests(oldest, 60_000)).toMatchObject({ status: 'warn', code: 'request_overdue' })
  expect(judgeRequests(oldest, 100_000)).toMatchObject({ status: 'pass' })
})

probeConformance('disk', {
  well: () => diskProbe(['/secret/path'], async () => roomy),
  sick: () => diskProbe(['/secret/path'], async () => ({ ...roomy, freeBytes: 0 })),
  silent: () => diskProbe(['/secret/path'], forever),
  secrets: ['/secret/path'],
})
probeConformance('thread-pool', { well: () => threadPoolProbe(), silent: () => threadPoolProbe(forever) })
probeConformance('clock', { well: () => clockProbe() })
probeConformance('requests', {
  well: () => requestsProbe(() => undefined, 1),
  sick: () => requestsProbe(() => ({ count: 1, ageMs: 5, traceId: '0af7651916cd43dd8448eb211c80319c' }), 1),
})
