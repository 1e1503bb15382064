import { get, pollUntil } from '@afterspan/testing'
import type { Receipt } from 'afterspan'
import { drawTrace, type OtlpSink } from 'afterspan/internal'

/** The receipt of a trace once it will do, asked of an admin listener. */
export async function settledReceipt(
  admin: string,
  traceId: string,
  isEnough: (found: Receipt) => boolean,
): Promise<Receipt> {
  let last: Receipt | undefined
  try {
    await pollUntil(
      async () => {
        last = JSON.parse((await get(`${admin}/receipt/${traceId}`)).text) as Receipt
        return isEnough(last)
      },
      { timeoutMs: 20_000 },
    )
  } catch (error) {
    throw new Error(`the receipt is ${JSON.stringify(last, null, 2)}`, { cause: error })
  }
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
