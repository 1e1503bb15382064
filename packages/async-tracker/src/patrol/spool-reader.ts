import { join } from 'node:path'
import {
  ABOUT_CONTENT,
  listSpool,
  postInParts,
  readSpooled,
  removeSpooled,
  shortenSpooled,
  type EpochMs,
  type OtlpReply,
  type OtlpSettings,
  type PartsReply,
} from '@afterspan/core/internal'
import { isDue } from '../ledger/store.ts'
import { MOST_REFUSALS, waitAfter, type DropReason } from './outbox.ts'

const MOST_FILES_A_ROUND = 20
/** Younger files may still be in the sending by their own process. */
const REST_MS = 1_500

export interface SpoolReader {
  /** Sends what rests in the spool, errors first, each file once a round; stops at the first that the collector does not take. */
  deliver(now: EpochMs): Promise<void>
}

export function createSpoolReader(options: {
  readonly dir: string
  readonly settings: OtlpSettings
  readonly onFailure: (reply: OtlpReply) => void
  readonly onDropped: (spans: number, reason: DropReason) => void
  readonly post: (settings: OtlpSettings, body: Uint8Array) => Promise<OtlpReply>
}): SpoolReader {
  const { dir, settings, onFailure, onDropped, post } = options
  const folder = join(dir, 'spool')
  let failures = 0
  let nextAt = -Infinity
  const refusals = new Map<string, number>()

  /** True: go on with the next. */
  const settle = (file: string, spans: number, reply: PartsReply, now: EpochMs): boolean => {
    if (reply.ok) {
      failures = 0
      refusals.delete(file)
      removeSpooled(folder, file)
      if (reply.rejected) onDropped(Math.min(reply.rejected, spans), 'refused')
      return true
    }
    onFailure(reply)
    const refused = (refusals.get(file) ?? 0) + (reply.retryable ? 0 : 1)
    if (ABOUT_CONTENT.has(reply.reason) || refused >= MOST_REFUSALS) {
      refusals.delete(file)
      removeSpooled(folder, file)
      onDropped(spans, 'refused')
      return ABOUT_CONTENT.has(reply.reason)
    }
    const { rest } = reply
    if (rest && shortenSpooled(folder, file, rest.request, rest.items)) {
      refusals.delete(file)
      if (reply.rejected) onDropped(reply.rejected, 'refused')
    } else if (refused > 0) refusals.set(file, refused)
    nextAt = now + waitAfter(failures++, reply)
    return false
  }
  return {
    async deliver(now) {
      if (!isDue(nextAt, now)) return
      // A file from the future is one from before the clock was set back.
      const due = listSpool(folder).filter(({ changedAt }) => Math.abs(now - changedAt) > REST_MS)
      for (const { file, spans } of due.slice(0, MOST_FILES_A_ROUND)) {
        const body = readSpooled(folder, file)
        if (body && !settle(file, spans, await postInParts(post, settings, body), now)) return
      }
    },
  }
}
