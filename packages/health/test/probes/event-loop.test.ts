import { expect, test } from 'vitest'
import { eventLoopProbe, judgeLoop } from '../../src/probes/event-loop.ts'
import { probeConformance } from '../probe-conformance.ts'

test.for([
  [{ p99Ms: 3, maxMs: 20, utilization: 0.5 }, 'pass', undefined],
  [{ p99Ms: 500, maxMs: 900, utilization: 0.5 }, 'warn', 'event_loop_delay'],
  [{ p99Ms: 3, maxMs: 20, utilization: 0.95 }, 'warn', 'event_loop_saturated'],
] as const)('%j is %s', ([window, status, code]) => {
  const result = judgeLoop(window)
  expect(result.status).toBe(status)
  expect(result.code).toBe(code)
})

test('a loop that is blocked between two rounds is seen', async () => {
  const probe = eventLoopProbe()
  const signal = AbortSignal.timeout(10_000)
  await probe.check(signal)
  // Here time itself is what is measured: the histogram needs a tick before and one after.
  await turnFor(120)
  const until = performance.now() + 700
  while (performance.now() < until);
  await turnFor(120)
  const result = await probe.check(signal)
  expect(result).toMatchObject({ status: 'warn', code: 'event_loop_delay' })
  expect(result.observed?.['utilization']?.value).toBeGreaterThan(0.5)
})

function turnFor(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

probeConformance('event-loop', {
  well: () => eventLoopProbe(() => ({ p99Ms: 3, maxMs: 20, utilization: 0.5 })),
  sick: () => eventLoopProbe(() => ({ p99Ms: 900, maxMs: 1000, utilization: 1 })),
})
