import { get, pollUntil } from '@afterspan/testing'
import type { Receipt } from 'afterspan'
import { drawTrace, type OtlpSink } from 'afterspan/internal'
import { expect } from 'vitest'

/**
 * Waits until the receipt of a trace matches the pattern, and returns it. For what is on its way: a verdict is there before its request,
 * a lost attempt before the one that follows it; who waits for the one and then expects the other fails on a busy machine.
 */
export async function expectReceipt(admin: string, traceId: string, pattern: object): Promise<Receipt> {
  const found = await receiptWithin(20_000, admin, traceId, (receipt) => {
    expect(receipt).toMatchObject(pattern)
    return true
  })
  expect(found).toMatchObject(pattern)
  return found
}

/** Several readers of one message have a task each. Which of them is heard of first, and stands first, is as it comes. */
export async function expectPieces(
  admin: string,
  traceId: string,
  verdict: Receipt['verdict'],
  ...pieces: readonly { readonly reader: string; readonly [field: string]: unknown }[]
): Promise<void> {
  const inAnyOrder = expect.toSatisfy((tasks: Receipt['tasks']) => {
    expect(tasks.toSorted((a, b) => (a.reader! < b.reader! ? -1 : 1))).toMatchObject(
      pieces.toSorted((a, b) => (a.reader < b.reader ? -1 : 1)),
    )
    return true
  })
  await expectReceipt(admin, traceId, { verdict, tasks: inAnyOrder })
}

/** The receipt of a trace once it will do, asked of an admin listener. */
export async function settledReceipt(
  admin: string,
  traceId: string,
  isEnough: (found: Receipt) => boolean,
): Promise<Receipt> {
  let isSettled = false
  const found = await receiptWithin(20_000, admin, traceId, (receipt) => (isSettled = isEnough(receipt)))
  if (!isSettled) throw new Error(`the receipt is ${JSON.stringify(found, null, 2)}`)
  return found
}

/** The receipt once it passes, or the last one in that time. */
async function receiptWithin(
  timeoutMs: number,
  admin: string,
  traceId: string,
  passes: (found: Receipt) => boolean,
): Promise<Receipt> {
  let last: Receipt | undefined
  const ask = async (): Promise<boolean> => {
    last = JSON.parse((await get(`${admin}/receipt/${traceId}`)).text) as Receipt
    return passes(last)
  }
  await pollUntil(ask, { timeoutMs }).catch((error: unknown) => {
    if (!last) throw error
  })
  return last!
}

/**
 * The trace as text, once it has its request, a span of each of the states (a state that is named twice: two of them), and every span that
 * another names as its parent: they come from several processes, each in its own time. Without the spans of databases.
 */
export async function toldTrace(sink: OtlpSink, traceId: string, ...states: readonly string[]): Promise<string> {
  const isTold = (): boolean => {
    const spans = sink.trace(traceId)
    const ids = new Set(spans.map(({ spanId }) => spanId))
    const count = (state: string): number =>
      spans.filter(({ attributes }) => attributes['afterspan.task.state'] === state).length
    return (
      spans.some((span) => span.kind === 'server') &&
      spans.every(({ parentSpanId }) => !parentSpanId || ids.has(parentSpanId)) &&
      states.every((state) => count(state) >= states.filter((each) => each === state).length)
    )
  }
  await sink.waitFor(isTold)
  return drawTrace(
    sink
      .trace(traceId)
      .filter((span) => span.attributes['db.system.name'] === undefined && !span.name.startsWith('pg')),
    { stable: true },
  )
}
