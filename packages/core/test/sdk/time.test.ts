import { TraceFlags } from '@opentelemetry/api'
import { afterEach, expect, test, vi } from 'vitest'
import type { SpanData } from '../../src/sdk/span-data.ts'

const LIMITS = { attributes: 8, valueLength: 64, events: 8, eventAttributes: 8, links: 8, linkAttributes: 8 }
const HOUR = 3_600_000
const START = Date.UTC(2026, 0, 1)

afterEach(() => {
  vi.restoreAllMocks()
  vi.resetModules()
})

/** The wall clock, and the time since the process began. */
function setClock(wall: number, mono: number): void {
  vi.spyOn(Date, 'now').mockReturnValue(wall)
  vi.spyOn(performance, 'now').mockReturnValue(mono)
}

test.each([HOUR, -HOUR])(
  'a request during which the wall clock was set by %i ms took as long as it took',
  async (by) => {
    setClock(START, 5_000)
    const { RequestSpan } = await import('../../src/sdk/request-span.ts')
    const { nowMs } = await import('../../src/sdk/time.ts')
    const told: SpanData[] = []
    const span = new RequestSpan({
      context: { traceId: 'ab'.repeat(16), spanId: 'cd'.repeat(8), traceFlags: TraceFlags.SAMPLED },
      name: 'GET',
      startMs: nowMs(),
      attributes: {},
      limits: LIMITS,
      onEnd: (data) => told.push(data),
    })
    setClock(START + by + 2_000, 7_000)
    expect(nowMs()).toBe(START + by + 2_000)
    span.addEvent('halfway').addEvent('by the clock of the process', 6_500)
    expect(span.nowMs()).toBe(START + 2_000)
    span.end()
    const atMs = [START + 2_000, START + 1_500]
    expect(told).toMatchObject([{ startMs: START, endMs: START + 2_000, events: atMs.map((at) => ({ atMs: at })) }])
  },
)
