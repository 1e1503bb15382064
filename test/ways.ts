// An app that asks a server in many ways, one path for each: what it hears, and what is told of it.
import { get } from '@afterspan/testing'
import type { startOtlpSink } from 'afterspan/internal'
import { expect } from 'vitest'
import { traceIdOf } from './app.ts'

export interface Way {
  /** What the app hears, as it does without us. */
  readonly answers: unknown
  /** As it is drawn; '' where it is not looked at. */
  readonly trace: string
}
type Sink = Awaited<ReturnType<typeof startOtlpSink>>

/** Asks in each way, and holds answers and traces to what they are meant to be. Every span of a client belongs to one of these requests. Gives the trace id of each. */
export async function askInEachWay(
  url: string,
  ways: Readonly<Record<string, Way>>,
  sink: Sink,
  drawn: (traceId: string) => string,
): Promise<ReadonlyMap<string, string>> {
  const traces = new Map<string, string>()
  for (const [path, { answers }] of Object.entries(ways)) {
    const reply = await get(url + path)
    const heard: object = reply.status === 200 ? JSON.parse(reply.text) : { text: reply.text }
    expect({ path, ...heard }).toEqual({ path, answers, strays: 0 })
    traces.set(path, traceIdOf(reply))
  }
  for (const [path, { trace }] of Object.entries(ways)) {
    const traceId = traces.get(path)!
    if (trace === '') continue
    await sink.waitFor(() => drawn(traceId) === trace, 20_000).catch(() => {})
    expect(drawn(traceId)).toBe(trace)
  }
  // What nobody asked for makes no trace.
  const requests = new Set(traces.values())
  expect(sink.spans().filter(({ kind, traceId }) => kind === 'client' && !requests.has(traceId))).toEqual([])
  return traces
}
