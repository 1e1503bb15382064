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

interface Means {
  readonly undelivered: Undelivered
  readonly post: (settings: OtlpSettings, request: Uint8Array) => Promise<OtlpReply>
  readonly settings: OtlpSettings
  readonly onSent: (spans: number) => void
  readonly onRefused: (spans: number) => void
}

export function forwardLeft(options: Means): Forwarding {
  const { undelivered } = options
  let lookedAt = -Infinity
  let isBusy = false

  const sendAll = async (all: readonly TakenExport[]): Promise<void> => {
    let isWell = true
    for (const one of all) {
      if (isWell) isWell = await send(options, one)
      else one.giveBack()
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

/** True: the next one may go. */
async function send({ undelivered, post, settings, onSent, onRefused }: Means, one: TakenExport): Promise<boolean> {
  const { spans, isErrors } = one
  const { ok, reason, rejected, rest } = await postInParts(post, settings, one.request)
  const settle = (settled: number, refused = 0): void => {
    const refusals = Math.min(refused, settled)
    onSent(settled - refusals)
    onRefused(refusals)
    one.remove()
  }
  if (ok || ABOUT_CONTENT.has(reason)) {
    settle(spans, ok ? rejected : spans)
    return true
  }
  if (rest && undelivered.keep(rest.request, { spans: rest.items, isErrors }))
    settle(Math.max(0, spans - rest.items), rejected)
  else one.giveBack()
  return false
}
