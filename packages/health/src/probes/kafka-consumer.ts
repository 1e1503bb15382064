// What follows from the state of a consumer of Kafka, whichever client library it is of: whether it is in its group, and gets on.
import type { ProbeResult } from '@afterspan/core/internal'

type Observed = NonNullable<ProbeResult['observed']>

/** An app whose group joins is given so long until a broker that does not answer is one that does not. */
export const JOINING_MS = 10_000

export interface ConsumerOptions {
  /** Work in which nothing has moved for so long is stuck. */
  readonly stuckMs: number
  readonly stuckStatus: 'warn' | 'fail'
  /** A restart helps where a consumer has ended for good, and the brokers answer, for so long. */
  readonly deadMs: number
  /** Of a check. */
  readonly timeoutMs: number
  /** What is refused to the app itself counts. Default: yes. */
  readonly passive?: boolean
}
export interface ConsumerFacts {
  /** It has ended by an error, so long ago; of which the brokers said that it may not do that. */
  readonly crash?: { readonly ms: number; readonly restarts: boolean; readonly isRefused?: boolean } | undefined
  /** In its group: the rest is told of that time. */
  readonly hasJoined: boolean
  readonly joiningMs: number
  /** So long a group may take until it has all of its members. */
  readonly rebalanceMs: number
  /** Since its last heartbeat. */
  readonly silentMs: number
  readonly sessionMs: number
  /** Since anything has moved, where there is something to do. */
  readonly stillMs: number
  readonly stillWhere: string
  /** It crashed in a batch, has begun again, and has finished none since. */
  readonly isUnproven: boolean
  readonly observed: Observed
}

export function judgeConsumer(facts: ConsumerFacts, { stuckMs, stuckStatus, deadMs }: ConsumerOptions): ProbeResult {
  const { crash, observed, silentMs, stillMs } = facts
  if (!facts.hasJoined) {
    if (crash) return { status: 'fail', ...crashed(crash, deadMs), observed }
    if (facts.joiningMs > facts.rebalanceMs)
      return away('consumer_gone', 'the consumer has not joined its group', observed)
    return { status: 'pass', observed }
  }
  if (silentMs > facts.sessionMs) {
    const reason = 'the group has counted the consumer out: it has sent no heartbeat for longer than its session'
    return away('consumer_gone', reason, { ...observed, silent: { value: Math.round(silentMs), unit: 'ms' } })
  }
  if (stillMs > stuckMs) {
    const still = { ...observed, idle: { value: Math.round(stillMs), unit: 'ms' } }
    return { ...away('consumer_stuck', facts.stillWhere, still), status: stuckStatus }
  }
  if (!facts.isUnproven) return { status: 'pass', observed }
  const reason = 'the consumer has ended in a batch, has begun again, and has finished none since'
  return { ...away('consumer_crashed', reason, observed), status: 'warn' }
}

function crashed(
  { ms, restarts, isRefused = false }: NonNullable<ConsumerFacts['crash']>,
  deadMs: number,
): Omit<ProbeResult, 'status'> {
  // The next process would be refused too.
  if (isRefused)
    return { code: 'no_permission', cause: 'dependency', reason: 'the consumer may not read, and has ended' }
  if (restarts)
    return { code: 'consumer_crashed', cause: 'self_recoverable', reason: 'the consumer has ended, and begins again' }
  const cause = ms > deadMs ? 'self_wedged' : 'self_recoverable'
  return { code: 'consumer_gone', cause, reason: 'the consumer has ended by an error, and does not begin again' }
}

function away(code: string, reason: string, observed: Observed): ProbeResult {
  return { status: 'fail', code, cause: 'self_recoverable', reason, observed }
}

/** What is told of a consumer in its group. */
export function consumerObserved(assigned: number, lag: number): Observed {
  return { assigned: { value: assigned, unit: 'count' }, lag: { value: lag, unit: 'count' } }
}
