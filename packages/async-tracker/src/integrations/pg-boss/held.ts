import type { AttemptInfo } from '@afterspan/core/internal'
import { failureOf } from '../running/failure-of.ts'
import type { Info } from '../running/message-handler.ts'
import { isObject } from '../sending/bag.ts'
import { SYSTEM, type Boss, type Find, type Job } from './boss.ts'
import { expiryOf, type Expiry } from './expiry.ts'

/** Attempts begun by fetch() that nobody settles would stay for ever: the oldest go first. */
const MOST_HELD = 10_000

type Outcome = 'failed' | 'cancelled' | 'retrying'

/** One attempt that has begun. It has several ends (the handler, its signal, a call of the app); the first one counts. */
export interface Held {
  readonly info: AttemptInfo
  /** It began by fetch(): no handler will end it. */
  readonly isByHand: boolean
  /** Of one by hand: until when pg-boss leaves it to the app. */
  readonly expiry: Expiry | undefined
  /** For kit.attempt to wait for. */
  readonly ended: Promise<void>
  /** When its end is told. */
  told?: Promise<unknown>
  succeed(): void
  fail(error: unknown, outcome?: Outcome): void
  /** pg-boss took the job away while its handler runs. What became of it has to be known: else the attempt goes on. */
  giveUp(error: unknown): void
}

/** What whoever holds attempts needs. */
export interface Holding {
  /** Attempts that have begun and not ended, by job id. */
  readonly held: Map<string, Held>
  readonly find: Find
}

export function hold({ held, find }: Holding, boss: Boss, job: Job, isByHand = false): Held {
  const { promise: ended, resolve, reject } = Promise.withResolvers<void>()
  ended.catch(() => {})
  let isOpen = true
  const info = infoOf(job, isByHand)
  const close = (): boolean => {
    if (held.get(job.id) === attempt) held.delete(job.id)
    const wasOpen = isOpen
    isOpen = false
    return wasOpen
  }
  const learn = async (): Promise<void> => {
    if (info.maxAttempts !== undefined) return
    const row = await find(boss, job.name, job.id)
    if (row) complete(info, row)
  }
  const attempt: Held = {
    info,
    isByHand,
    expiry: isByHand ? expiryOf(boss, job) : undefined,
    ended,
    succeed() {
      if (close()) resolve()
    },
    fail(error, outcome) {
      if (!close()) return
      info.outcome = outcome
      const tell = (): void => {
        reject(error)
      }
      // Without an answer the failure is taken as final.
      if (outcome) tell()
      else learn().then(tell, tell)
    },
    giveUp(error) {
      const tell = (): void => {
        if (!close()) return
        // Of several allowed runs the last: its retries are used up.
        if (isExpiry(error) && info.maxAttempts === 1) info.failedAs = 'expired'
        reject(error)
      }
      learn().then(tell, () => {})
    },
  }
  if (held.size >= MOST_HELD) held.delete(held.keys().next().value!)
  held.set(job.id, attempt)
  return attempt
}

type HeldInfo = Info & { outcome?: Outcome | undefined }

/** A job has its retry limit only where the app asked for metadata, and until 12.35 its retry count too. */
function infoOf(job: Job, isByHand: boolean): HeldInfo {
  const attempt = Number(job['retryCount']) + 1 || 0
  const info: HeldInfo = {
    system: SYSTEM,
    destination: job.name,
    name: job.name,
    attempt,
    messageId: job.id,
    // What had failed for good, or was cancelled, runs again only where somebody brought it back: retry(), resume().
    isReturn: true,
    // Whoever had fetched it before has let it expire.
    ...(isByHand && attempt > 1 ? { isTakeover: true } : {}),
    outcomeOf: () => info.outcome,
  }
  const maxAttempts = Number(job['retryLimit']) + 1
  if (maxAttempts > 0) info.maxAttempts = maxAttempts
  return info
}

/** Asking each time would cost more than the job; so only of a failure it is asked whether it is the last. pg-boss may have decided already. */
function complete(info: HeldInfo, row: Job): void {
  info.attempt ||= Number(row['retryCount']) + 1
  info.maxAttempts = Number(row['retryLimit']) + 1
  if (row['state'] === 'cancelled') info.outcome = 'cancelled'
  else if (row['state'] === 'failed' && info.attempt < info.maxAttempts) info.outcome = 'failed'
}

function isExpiry(error: unknown): boolean {
  return isObject(error) && error['code'] === 'expired'
}

/** What fail() was given, without anything of the payload that it may hold. */
export function errorOf(output: unknown): unknown {
  if (output instanceof Error) return output
  const message = isObject(output) ? output['message'] : output
  return failureOf('failed', typeof message === 'string' ? message : 'failed by the app')
}
