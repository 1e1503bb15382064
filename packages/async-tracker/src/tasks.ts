import { AfterspanError, globalState, type Receipt } from '@afterspan/core/internal'

const POLL_MS = 100

/** What became of the work behind a request, in code: for an app that wants to show its user what became of an order. */
export const tasks = {
  /** Everything that the ledger knows about one trace. Rejects without the preload, and where nobody patrols. */
  receipt(traceId: string): Promise<Receipt> {
    const ask = globalState().receipt
    return ask
      ? ask(traceId)
      : Promise.reject(new AfterspanError('AFS_PATROL_FAILED', 'Afterspan is not preloaded, or keeps no ledger here'))
  },
  /** The receipt once nothing of the trace is open any more; after `timeoutMs` (default 10,000) as it is then. */
  async settled(traceId: string, { timeoutMs = 10_000 }: { readonly timeoutMs?: number } = {}): Promise<Receipt> {
    const until = performance.now() + timeoutMs
    for (;;) {
      const receipt = await tasks.receipt(traceId)
      if ((receipt.verdict !== 'open' && receipt.verdict !== 'unknown') || performance.now() >= until) return receipt
      await new Promise((resolve) => {
        setTimeout(resolve, POLL_MS)
      })
    }
  },
}
