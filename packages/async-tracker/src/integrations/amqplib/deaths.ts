// A dead-lettered message brings the carrier along. Whether it is the same work that comes back, or a copy for somebody else, is
// read from where it died. Pure.
import type { TaskReason } from '@afterspan/core/internal'
import { isObject } from '../sending/bag.ts'
import type { Message } from './shapes.ts'

/** One entry of x-death: how often, and why, a message died in a queue. The newest first. */
export interface Death {
  readonly queue: string
  readonly reason: string
  readonly count: number
}

export interface Fate {
  /** Whether who gets it now runs the task that was sent. */
  readonly isSameWork: boolean
  /** How the task ended, where it is another's work now. */
  readonly ended?: TaskReason
}

const REASONS: Readonly<Record<string, TaskReason>> = {
  delivery_limit: 'retries_exhausted',
  expired: 'expired',
  maxlen: 'dead_lettered',
  rejected: 'dead_lettered',
}
/** What people call the queues where messages end. */
const GRAVEYARD = /(?:^|[^a-z])dl[qx]?(?:[^a-z]|$)|dead|error|expired|fail|grave|lost|park|poison|undeliver/i

export function deathsOf({ properties }: Message): Death[] {
  const entries = properties.headers?.['x-death']
  if (!Array.isArray(entries)) return []
  return entries.filter(isObject).map(({ queue, reason, count }) => ({
    queue: String(queue),
    reason: String(reason),
    count: Number(count) || 1,
  }))
}

export function fateOf(deaths: readonly Death[], queue: string): Fate {
  // It died here and is back: a retry by way of a queue where it waited.
  if (deaths.length === 0 || deaths.some((death) => death.queue === queue)) return { isSameWork: true }
  const reason = deaths.find((death) => death.reason !== 'expired')?.reason ?? 'expired'
  // To expire is also how a message is delayed: it waits in a queue that nobody reads, and then goes to its real one.
  if (reason === 'expired' && !GRAVEYARD.test(queue)) return { isSameWork: true }
  return { isSameWork: false, ended: REASONS[reason] ?? 'dead_lettered' }
}
