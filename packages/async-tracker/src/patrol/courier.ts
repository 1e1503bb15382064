// Brings to the collector what waits for it on disk: the ledger's outbox, and what processes could not deliver themselves. One
// round at a time, beside the sweeps: a collector that hangs must not keep the patrol from finding the dead.
import type { EpochMs, OtlpReply, OtlpSettings } from '@afterspan/core/internal'
import type { LedgerStore } from '../ledger/store.ts'
import { createOutbox, type DropReason } from './outbox.ts'
import { createSpoolReader } from './spool-reader.ts'

export interface Courier {
  /** Begins a round where none is under way; how many spans of the outbox were delivered, as far as that is known within `patienceMs`. Rejects where the ledger fails, also for the round before. */
  deliver(now: EpochMs, patienceMs: number): Promise<number>
}

export interface CourierSettings {
  readonly dir: string
  readonly ledger: LedgerStore
  readonly settings: OtlpSettings
  readonly onFailure: (reply: OtlpReply) => void
  readonly onDropped: (spans: number, reason: DropReason) => void
  readonly exclusive: <T>(work: (ledger: LedgerStore) => Promise<T>) => Promise<T>
  readonly post: (settings: OtlpSettings, body: Uint8Array) => Promise<OtlpReply>
}

export function createCourier(settings: CourierSettings): Courier {
  const outbox = createOutbox(settings)
  const spool = createSpoolReader(settings)
  let underWay: Promise<number> | undefined
  let trouble: { readonly error: unknown } | undefined

  const round = async (now: EpochMs): Promise<number> => {
    try {
      const reported = await outbox.deliver(now)
      await spool.deliver(now)
      return reported
    } finally {
      underWay = undefined
    }
  }
  return {
    async deliver(now, patienceMs) {
      if (trouble) {
        const { error } = trouble
        trouble = undefined
        throw error
      }
      if (underWay) return 0
      underWay = round(now)
      if (patienceMs === Infinity) return underWay
      let isLate = false
      underWay.catch((error: unknown) => {
        if (isLate) trouble = { error }
      })
      let timer: NodeJS.Timeout | undefined
      const patience = new Promise<number>((resolve) => {
        timer = setTimeout(() => {
          isLate = true
          resolve(0)
        }, patienceMs)
      })
      return Promise.race([underWay, patience]).finally(() => {
        clearTimeout(timer)
      })
    },
  }
}
