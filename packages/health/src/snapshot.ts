import type { Cause, EpochMs, HealthEvidence, ProbeResult, ProbeStatus } from '@afterspan/core/internal'

/** What is known of one check: plain data, made on the main thread, told by the side thread. */
export interface CheckState {
  readonly name: string
  readonly component: string
  readonly required: boolean
  readonly groups?: readonly string[]
  /** A trouble of the dependency itself is at most a warning. */
  readonly isOpen?: true
  /** After dampening; absent until the first result. */
  readonly status?: ProbeStatus
  readonly code?: string
  /** Scrubbed; for the authorised body only. */
  readonly reason?: string
  readonly cause?: Cause
  /** Of the last round, whatever the dampened status. */
  readonly observed?: NonNullable<ProbeResult['observed']>
  readonly durationMs?: number
  readonly at?: EpochMs
  /** When the status became what it is. */
  readonly since?: EpochMs
  readonly lastPassAt?: EpochMs
  /** `file:line` of the code that made the client. */
  readonly madeAt?: string
  /** While it is not well: URI templates of what uses that kind of server, requests that showed the trouble, the trace that told of it. */
  readonly endpoints?: readonly string[]
  readonly evidence?: readonly HealthEvidence[]
  readonly trace?: string
  /** Checks that were given up and have not settled when they were. */
  readonly abandoned: number
}

/** All checks at one moment. The side thread answers from the last one it got. */
export interface HealthSnapshot {
  readonly at: EpochMs
  /** Another snapshot comes within this time while the main thread is well. */
  readonly everyMs: number
  /** The start-up gate has been passed. */
  readonly started: boolean
  /** The process was asked to leave. */
  readonly draining?: boolean
  readonly checks: readonly CheckState[]
}

/** What the main half gives the side half at its start. */
export interface HealthSideData {
  readonly serviceName: string
  readonly everyMs: number
  readonly stallMs: number
  /** Of /health, where nobody asks for another. Default: health+json. */
  readonly format?: 'health+json' | 'spring' | 'terminus'
}

/** What the side half says when it starts. */
export const ASK_FOR_SNAPSHOT = 'snapshot, please'
