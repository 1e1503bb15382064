// What other processes have left undelivered: it goes with what this one has, once its collector answers.
import type { TakenExport, Undelivered } from '../../contracts/undelivered.ts'
import { postInParts } from './in-parts.ts'
import type { OtlpSettings } from './settings.ts'
import { ABOUT_CONTENT, type OtlpReply } from './transport.ts'

/** Of one round, in memory at the same time. */
const MOST_BYTES = 4 * 1024 * 1024
/** At the end of a process: in one request beside its own, while it is held. */
const MOST_LAST_BYTES = 1024 * 1024
/** To look again costs the app a list of the folder. */
const REST_MS = 5_000

export interface Forwarding {
  /** The collector has just taken something: what is left goes too, one after the other, until one is not taken. */
  isDelivering(): void
  /** For the end of a process that never was told so. */
  takeLast(): { readonly body: Buffer; keep(): void; discard(): void } | undefined
}

export function forwardLeft(options: {
  readonly undelivered: Undelivered
  readonly post: (settings: OtlpSettings, request: Uint8Array) => Promise<OtlpReply>
  readonly settings: OtlpSettings
  readonly onSent: (spans: number) => void
  readonly onRefused: (spans: number) => void
}): Forwarding {
  const { undelivered, post, settings, onSent, onRefused } = options
  let lookedAt = -Infinity
  let isBusy = false

  /** True: the next one may go. */
  const send = async (one: TakenExport): Promise<boolean> => {
    const reply = await postInParts(post, settings, one.request)
    if (reply.ok) {
      const rejected = Math.min(reply.rejected ?? 0, one.spans)
      onSent(one.spans - rejected)
      onRefused(rejected)
    } else if (ABOUT_CONTENT.has(reply.reason)) onRefused(one.spans)
    else return false
    one.remove()
    return true
  }
  const sendAll = async (all: readonly TakenExport[]): Promise<void> => {
    let isWell = true
    for (const one of all) {
      isWell &&= await send(one)
      if (!isWell) one.giveBack()
    }
  }
  return {
    isDelivering() {
      const now = performance.now()
      if (isBusy || now - lookedAt < REST_MS) return
      lookedAt = now
      const all = undelivered.take(MOST_BYTES)
      if (all.length === 0) return
      isBusy = true
      void sendAll(all).finally(() => {
        isBusy = false
      })
    },
    takeLast() {
      if (lookedAt > -Infinity) return undefined
      const all = undelivered.take(MOST_LAST_BYTES)
      if (all.length === 0) return undefined
      return {
        // Requests of the same kind, one after the other, are one request: that is how protobuf merges repeated fields.
        body: Buffer.concat(all.map(({ request }) => request)),
        keep() {
          for (const one of all) one.giveBack()
        },
        discard() {
          for (const one of all) one.remove()
        },
      }
    },
  }
}
