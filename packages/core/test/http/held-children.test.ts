import { ROOT_CONTEXT } from '@opentelemetry/api'
import { expect, test } from 'vitest'
import { createHeldChildren } from '../../src/http/held-children.ts'
import { REQUEST_KEY, type RequestRecord } from '../../src/http/request-record.ts'
import type { SpanData } from '../../src/sdk/span-data.ts'

function stage(): {
  readonly told: string[]
  readonly lost: number[]
  readonly held: ReturnType<typeof createHeldChildren>
  request(): RequestRecord
  span(of: RequestRecord, name: string): { end(): void }
  end(of: RequestRecord, isFailed: boolean): void
} {
  const told: string[] = []
  const lost: number[] = []
  const held = createHeldChildren({
    deliver: (_, { name, flags }) => told.push(`${name} ${flags}`) > 0,
    lose: (spans) => lost.push(spans),
  })
  return {
    told,
    lost,
    held,
    request: () => ({
      ref: { traceId: 'a', spanId: 'b', sampled: false },
      method: 'GET',
      startedAt: 0,
      promised: 0,
      ended: false,
    }),
    span(of, name) {
      const own = {}
      held.started(own, ROOT_CONTEXT.setValue(REQUEST_KEY, of))
      return {
        end() {
          held.ended(own, { name: 'test' }, { name, flags: 0 } as SpanData)
        },
      }
    },
    end(of, isFailed) {
      of.ended = true
      held.requestEnded(of, isFailed)
    },
  }
}

test('what was done for a request that fails is told, also what ends after it; of one that goes well nothing is', () => {
  const { told, request, span, end } = stage()
  const [well, failed] = [request(), request()]
  const [lateWell, lateFailed] = [span(well, 'well, late'), span(failed, 'failed, late')]
  for (const [of, name] of [
    [well, 'well'],
    [failed, 'failed'],
  ] as const)
    span(of, name).end()
  expect(told).toEqual([])
  end(well, false)
  end(failed, true)
  lateWell.end()
  lateFailed.end()
  span(failed, 'failed, begun late').end()
  span(well, 'well, begun late').end()
  expect(told).toEqual(['failed 1', 'failed, late 1', 'failed, begun late 1'])
})

test('a request keeps so many spans, all requests together so many, and what had no room is counted where it would have been told', () => {
  const { told, lost, request, span, end } = stage()
  const first = request()
  for (let n = 0; n < 130; n++) span(first, `${n}`).end()
  const others = Array.from({ length: 40 }, request)
  for (const other of others) for (let n = 0; n < 128; n++) span(other, 'of another').end()
  const last = request()
  span(last, 'no room').end()
  end(last, true)
  expect([told, lost]).toEqual([[], [1]])
  end(first, true)
  expect([told.length, told.at(-1), lost]).toEqual([128, '127 1', [1, 2]])
  for (const other of others) end(other, false)
  const next = request()
  for (let n = 0; n < 128; n++) span(next, 'next').end()
  end(next, true)
  expect([told.length, lost]).toEqual([256, [1, 2]])
})
