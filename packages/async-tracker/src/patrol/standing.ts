// How the ledger of this folder stands, for health: by the counters that the patrol keeps anyway, and by the oldest of what is open.
import type { Clock, EpochMs } from '@afterspan/core/internal'
import type { CounterRow, LedgerStore } from '../ledger/store.ts'
import { OPEN_STATES } from '../task-state.ts'
import { REQUESTS_COUNTER, TASKS_COUNTER } from './counting.ts'

/** What happened longer ago is told no more. */
const WINDOW_MS = 15 * 60_000
const SAMPLE_EVERY_MS = 30_000
/** Of each state: one that is overdue is among those that came first, unless it was given very little time. */
const OLDEST = 20

/** Plain data: it crosses threads and processes. */
export interface LedgerStanding {
  readonly lost: number
  /** Requests that were answered well and did not keep their promise, less those that were kept later. */
  readonly falseSuccesses: number
  readonly windowMs: number
  readonly open: number
  readonly oldestOpenMs?: number
  /** Open tasks beyond their own deadline, among the oldest. */
  readonly overdue: number
  readonly sweptMsAgo: number
}

export interface Standing {
  /** `sweptAtMs`: on the monotonic clock. */
  now(patrol: { readonly sweptAtMs: number }): Promise<LedgerStanding>
}

interface Sample {
  readonly at: number
  readonly lost: number
  readonly falseSuccesses: number
}

export async function createStanding(
  ledger: LedgerStore,
  clock: Pick<Clock, 'now' | 'monotonicMs'>,
  silenceMs = Infinity,
): Promise<Standing> {
  const take = async (): Promise<Sample> => ({ at: clock.monotonicMs(), ...sumsOf(await ledger.counters()) })
  const samples = [await take()]
  const begunAtMs = clock.monotonicMs()
  return {
    async now({ sweptAtMs }) {
      const now = await take()
      // The oldest that is kept is the last one from before the window.
      while (samples.length > 1 && now.at - samples[1]!.at >= WINDOW_MS) samples.shift()
      if (now.at - samples.at(-1)!.at >= SAMPLE_EVERY_MS) samples.push(now)
      const before = samples[0]!
      return {
        lost: Math.max(0, now.lost - before.lost),
        falseSuccesses: Math.max(0, now.falseSuccesses - before.falseSuccesses),
        windowMs: WINDOW_MS,
        // The first sweep may be a long one.
        sweptMsAgo: Math.max(0, now.at - Math.max(sweptAtMs, begunAtMs)),
        ...(await openOnes(ledger, clock.now(), silenceMs)),
      }
    },
  }
}

async function openOnes(
  ledger: LedgerStore,
  now: EpochMs,
  silenceMs: number,
): Promise<Pick<LedgerStanding, 'oldestOpenMs' | 'open' | 'overdue'>> {
  const counts = await ledger.countsByState([...OPEN_STATES])
  const open = [...OPEN_STATES].reduce((sum, state) => sum + counts[state], 0)
  if (open === 0) return { open, overdue: 0 }
  // What nobody waits for any more must not hide those that came later.
  const oldest = await ledger.oldestOpen(OLDEST, Math.max(0, now - silenceMs) as EpochMs)
  const since = Math.min(...oldest.map(({ facts }) => facts.spawned?.at ?? facts.attempts[0]?.startedAt ?? now))
  const overdue = oldest.filter(({ facts }) => (facts.spawned?.deadlineAt ?? Infinity) < now).length
  return { open, overdue, ...(oldest.length > 0 ? { oldestOpenMs: Math.max(0, now - since) } : {}) }
}

function sumsOf(counters: readonly CounterRow[]): { lost: number; falseSuccesses: number } {
  const sum = (name: string, label: string, word: string): number =>
    counters.reduce((all, row) => (row.name === name && row.labels[label] === word ? all + row.value : all), 0)
  return {
    lost: sum(TASKS_COUNTER, 'state', 'lost'),
    falseSuccesses: sum(REQUESTS_COUNTER, 'outcome', 'false_success') - sum(REQUESTS_COUNTER, 'outcome', 'recovered'),
  }
}
