import type { Clock, ProbeResult } from '@afterspan/core/internal'
import { Budget } from './budget.ts'
import { publicCode, networkCode } from './codes.ts'
import { scrub } from './scrub.ts'
import type { Timer } from './timer.ts'

export interface Round {
  readonly result: ProbeResult
  readonly durationMs: number
  /** answered: by the check itself. abandoned: it had not settled when it was given up. hanging: still that one; no check was run. seen: the app's own traffic has said so; no check was run either. */
  readonly kind: 'abandoned' | 'answered' | 'hanging' | 'seen'
}
export interface ProbeTask {
  /** Whose budget a check is taken from. */
  readonly component: string
  readonly intervalMs: number
  readonly timeoutMs: number
  check(signal: AbortSignal): Promise<ProbeResult>
  /** What the app's own traffic says since the last round, where that is enough. */
  seen?(): ProbeResult | undefined
  /** True once there is nothing left to probe. */
  isGone(): boolean
  onGone(): void
  /** Says whether the next round should come soon. */
  onRound(round: Round): 'calm' | 'suspicious'
}
/** What is late by more than this was late because the event loop was blocked. */
const LOOP_LATE_MS = 100
/** After the abort a check may still say why, in its own words. */
const LAST_WORD_MS = 50
/** Rounds at the quick pace while nothing changes; after them a sick dependency is left in peace. */
const QUICK_ROUNDS = 20
/** A round is followed by this much silence at least, however long it took. */
const LEAST_PAUSE_MS = 100
/** However often the app's traffic says that something is wrong. */
const LEAST_BETWEEN_MS = 1000
/** Rounds that traffic may answer before the check is asked again: it knows more than that calls go well. */
const MOST_SEEN = 4

interface Entry {
  readonly task: ProbeTask
  cancel: () => void
  /** Of the check that has not settled, given up or not. */
  inFlight: AbortController | undefined
  startedAt: number
  /** When the next round is to be. */
  dueAt: number
  seenInARow: number
  /** It has taken its part of the budget, and waits for its turn. */
  hasTurn: boolean
  lastStatus: string | undefined
  sameStatus: number
  ended: boolean
}

/**
 * Rounds of probes: each probe by itself, with jitter, one check at a time, each with a deadline. A check that was given up and has
 * not settled blocks further checks of its probe; its rounds go on as timeouts, so nothing piles up and nothing looks well.
 * While a result is bad or a status is changing, rounds come at a quarter of the interval, for a while.
 */
export class Scheduler {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #timer: Timer
  readonly #isolate: <R>(fn: () => R) => R
  readonly #onError: (error: unknown) => void
  readonly #random: () => number
  readonly #budget: Budget
  readonly #entries = new WeakMap<ProbeTask, Entry>()

  constructor(given: {
    readonly clock: Pick<Clock, 'monotonicMs'>
    readonly timer: Timer
    /** Runs a check where no request's context and no tracing is. */
    readonly isolate: <R>(fn: () => R) => R
    /** What must not happen: an error of the engine itself. */
    readonly onError: (error: unknown) => void
    readonly random?: () => number
  }) {
    this.#clock = given.clock
    this.#timer = given.timer
    this.#isolate = given.isolate
    this.#onError = given.onError
    this.#random = given.random ?? Math.random
    this.#budget = new Budget(given.clock.monotonicMs())
  }

  /** Starts rounds; the returned function ends them, and a check in flight is aborted. */
  add(task: ProbeTask): () => void {
    const entry: Entry = {
      task,
      cancel: () => {},
      inFlight: undefined,
      startedAt: Number.NEGATIVE_INFINITY,
      dueAt: 0,
      seenInARow: 0,
      hasTurn: false,
      lastStatus: undefined,
      sameStatus: 0,
      ended: false,
    }
    this.#entries.set(task, entry)
    this.#next(entry, this.#random() * Math.min(100, task.intervalMs))
    return () => end(entry)
  }

  /** Something looks wrong: the next round comes at once, if the last one was not just now. */
  hasten(task: ProbeTask): void {
    const entry = this.#entries.get(task)
    if (!entry || entry.ended || entry.inFlight || entry.hasTurn) return
    entry.seenInARow = MOST_SEEN
    const now = this.#clock.monotonicMs()
    const between = Math.min(LEAST_BETWEEN_MS, Math.max(250, task.intervalMs / 4))
    const delay = Math.max(0, between - (now - entry.startedAt))
    if (now + delay < entry.dueAt) this.#next(entry, delay)
  }

  #next(entry: Entry, delayMs: number): void {
    entry.cancel()
    entry.dueAt = this.#clock.monotonicMs() + delayMs
    entry.cancel = this.#timer.after(delayMs, () => this.#round(entry))
  }

  #round(entry: Entry): void {
    if (entry.ended || leaveIfGone(entry)) return
    if (entry.inFlight) return this.#stillHanging(entry)
    const now = this.#clock.monotonicMs()
    const mayBeSeen = !entry.hasTurn && entry.seenInARow < MOST_SEEN
    const seen = mayBeSeen ? entry.task.seen?.() : undefined
    if (seen) {
      entry.seenInARow++
      this.#conclude(entry, { result: seen, durationMs: 0, kind: 'seen' }, now)
      return
    }
    const waitMs = entry.hasTurn ? 0 : this.#budget.take(entry.task.component, now)
    entry.hasTurn = waitMs > 0
    if (waitMs > 0) this.#next(entry, waitMs)
    else this.#startCheck(entry)
  }

  #stillHanging(entry: Entry): void {
    const now = this.#clock.monotonicMs()
    const durationMs = now - entry.startedAt
    const result = timedOut(`no answer for ${Math.round(durationMs)} ms; no further check until that one settles`)
    this.#conclude(entry, { result, durationMs, kind: 'hanging' }, now)
  }

  #startCheck(entry: Entry): void {
    const { task } = entry
    const controller = new AbortController()
    const startedAt = this.#clock.monotonicMs()
    entry.inFlight = controller
    entry.seenInARow = 0
    entry.startedAt = startedAt
    let isTold = false
    const tell = (result: ProbeResult, kind: Round['kind']): void => {
      isTold = true
      this.#conclude(entry, { result, durationMs: this.#clock.monotonicMs() - startedAt, kind }, startedAt)
    }
    const late = (): ProbeResult => timedOut(`no answer within ${task.timeoutMs} ms`)
    this.#deadline(entry, task.timeoutMs, 3, () => {
      controller.abort()
      // The promise of a check that listens settles before this.
      entry.cancel = this.#timer.after(LAST_WORD_MS, () => tell(late(), 'abandoned'))
    })
    const settle = (result: ProbeResult): void => {
      entry.inFlight = undefined
      if (!isTold) tell(controller.signal.aborted && result.status === 'pass' ? late() : result, 'answered')
      // Something moved on the other side: worth a look at once.
      else if (!entry.ended) this.#next(entry, LEAST_PAUSE_MS)
    }
    this.#isolate(() => run(task, controller.signal))
      .catch((error: unknown) => failure(error, controller.signal))
      .then(settle)
      .catch(this.#onError)
  }

  /** When the loop was blocked, timers run before the sockets are read: the answer may be there already, so a late deadline is given some more time. */
  #deadline(entry: Entry, ms: number, graces: number, passed: () => void): void {
    const dueAt = this.#clock.monotonicMs() + ms
    entry.cancel = this.#timer.after(ms, () => {
      if (graces > 0 && this.#clock.monotonicMs() - dueAt > LOOP_LATE_MS)
        this.#deadline(entry, Math.min(entry.task.timeoutMs, 500), graces - 1, passed)
      else passed()
    })
  }

  #conclude(entry: Entry, outcome: Round, startedAt: number): void {
    if (entry.ended || leaveIfGone(entry)) return
    const { task } = entry
    const { status } = outcome.result
    entry.sameStatus = status === entry.lastStatus ? entry.sameStatus + 1 : 1
    entry.lastStatus = status
    const isQuick = task.onRound(outcome) === 'suspicious' && entry.sameStatus <= QUICK_ROUNDS
    // Never later than the interval: jitter must not cost detection time.
    const interval = isQuick
      ? Math.min(task.intervalMs, Math.max(250, task.intervalMs / 4))
      : task.intervalMs * (0.85 + 0.15 * this.#random())
    this.#next(entry, Math.max(LEAST_PAUSE_MS, interval - (this.#clock.monotonicMs() - startedAt)))
  }
}

function end(entry: Entry): void {
  if (entry.ended) return
  entry.ended = true
  entry.cancel()
  entry.inFlight?.abort()
}

function leaveIfGone(entry: Entry): boolean {
  if (!entry.task.isGone()) return false
  end(entry)
  entry.task.onGone()
  return true
}

async function run(task: ProbeTask, signal: AbortSignal): Promise<ProbeResult> {
  return task.check(signal)
}

function timedOut(reason: string): ProbeResult {
  return { status: 'fail', code: 'timeout', reason }
}

/** A throw is a fail. What was thrown because of the abort is a timeout. */
function failure(error: unknown, signal: AbortSignal): ProbeResult {
  if (signal.aborted) return timedOut('the check was given up at its deadline')
  const message = error instanceof Error ? error.message : String(error)
  return {
    status: 'fail',
    code: networkCode(error) ?? publicCode((error as { code?: unknown })?.code) ?? 'error',
    reason: scrub(message),
  }
}
