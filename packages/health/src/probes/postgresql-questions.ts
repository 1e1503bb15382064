// What a PostgreSQL server is asked, and what its answers mean.
import type { ProbeResult } from '@afterspan/core/internal'

export type Row = Readonly<Record<string, unknown>>
type Observed = NonNullable<ProbeResult['observed']>

export const QUESTION =
  "select pg_is_in_recovery()::text as in_recovery, current_setting('transaction_read_only') as read_only"
/** For servers that speak the protocol and are not PostgreSQL. */
export const PLAIN_QUESTION = 'select 1 as answer'
/** All connections of the server, and those that are there for such users as the app's. */
export const SLOTS_QUESTION =
  "select (select sum(numbackends) from pg_stat_database)::int as used, current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as usable"
/** Of a connection beside those of the app: who it is, and which of them do something. */
export const BACKENDS_QUESTION =
  'select pg_backend_pid() as own, array(select pid from pg_stat_activity where state = $$active$$) as active'
/** The statement is not known there: undefined function, undefined object, not supported, syntax. */
export const NOT_UNDERSTOOD: ReadonlySet<unknown> = new Set(['42883', '42704', '0A000', '42601'])
/** Where fewer than one in twenty are left, the next deployment may find none. */
const SLOTS_NEAR = 0.95

/**
 * The app's own sentinel statement in a transaction that is rolled back: it may write. The server gives it up by itself before the probe
 * does, since a backend that waits for a lock does not notice that its client has gone.
 */
export function sentinelQuestion(statement: string, timeoutMs: number): string {
  const lockMs = Math.max(1, Math.floor(timeoutMs * 0.7))
  const allMs = Math.max(1, Math.floor(timeoutMs * 0.9))
  return `begin; set local lock_timeout = ${lockMs}; set local statement_timeout = ${allMs}; ${statement.replace(/[;\s]+$/, '')}; rollback`
}

export interface Slots {
  readonly used: number
  readonly usable: number
}
export function slotsIn(row: Row): Slots | undefined {
  const used = Number(row['used'])
  const usable = Number(row['usable'])
  return Number.isFinite(used) && usable > 0 ? { used, usable } : undefined
}
export function slotsObserved(slots: Slots | undefined): Observed {
  if (!slots) return {}
  return { slotsUsed: { value: slots.used, unit: 'count' }, slotsUsable: { value: slots.usable, unit: 'count' } }
}
export function areSlotsScarce(slots: Slots | undefined): boolean {
  return slots !== undefined && slots.used >= slots.usable * SLOTS_NEAR
}
