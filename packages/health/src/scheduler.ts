import type { Clock, ProbeResult } from '@afterspan/core/internal'
import { publicCode, networkCode } from './codes.ts'
import { scrub } from './scrub.ts'
import type { Timer } from './timer.ts'

export interface Round {
  readonly result: ProbeResult
  readonly durationMs: number
  /** answered: by the check itself. abandoned: it had not settled when it was given up. hanging: still that one; no check was run. */
  readonly kind: 'answered' | 'abandoned' | 'hanging'
}
export interface ProbeTask {
  readonly intervalMs: number
  readonly timeoutMs: number
  check(signal: AbortSignal): Promise<ProbeResult>
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

interface Entry {
  readonly task: ProbeTask
  cancel: () => void
  /** Of the check that has not settled, given up or not. */
  inFlight: AbortController | undefined
  startedAt: number
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
  }

  /** Starts rounds; the returned function ends them, and a check in flight is aborted. */
  add(task: ProbeTask): () => void {
    const entry: Entry = {
      task,
      cancel: () => {},
      inFlight: undefined,
      startedAt: 0,
      lastStatus: undefined,
      sameStatus: 0,
      ended: false,
    }
    this.#next(entry, this.#random() * Math.min(100, task.intervalMs))
    return () => end(entry)
  }

  #next(entry: Entry, delayMs: number): void {
    entry.cancel()
    entry.cancel = this.#timer.after(delayMs, () => this.#round(entry))
  }

  #round(entry: Entry): void {
    if (entry.ended || leaveIfGone(entry)) return
    if (entry.inFlight) this.#stillHanging(entry)
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
