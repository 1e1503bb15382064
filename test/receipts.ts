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

/** The trace as text, once it has its request and a span of that state; without the spans of databases. */
export async function toldTrace(sink: OtlpSink, traceId: string, state: string): Promise<string> {
  const isTold = (): boolean => {
    const spans = sink.trace(traceId)
    return (
      spans.some((span) => span.kind === 'server') &&
      spans.some((span) => span.attributes['afterspan.task.state'] === state)
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
