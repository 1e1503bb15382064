import { get, pollUntil } from '@afterspan/testing'
import type { Receipt } from 'afterspan'

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
