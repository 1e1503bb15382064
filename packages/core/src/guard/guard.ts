import type { Tracer } from '@opentelemetry/api'
import type { CoreConfig } from '../config/config.ts'
import type { EpochMs } from '../contracts/task.ts'
import { inFlight } from '../http/in-flight.ts'
import type { MetricRegistry } from '../metrics/registry.ts'
import { onThrownBehind } from '../http/thrown-behind.ts'
import type { OpenSpans } from '../sdk/open-spans.ts'
import type { SpanData } from '../sdk/span-data.ts'
import type { SideThread } from '../side-thread/host.ts'
import { isTaskSpan, patrolTells } from '../tasks/outcome-teller.ts'
import { tellStrayCrash, type StrayError } from '../tasks/stray-error.ts'
import { findCandidates, findCulprit } from './attribution.ts'
import { tellCrash } from './crash-span.ts'
import { watchCrashes, type Crashes } from './crash.ts'
import type { Drain } from './drain.ts'
import { createFarewell, watchExit } from './exit.ts'
import { createLastWords, type LastSource } from './last-words.ts'
import { watchRejections } from './rejections.ts'
import type { Stake } from './stake.ts'
import { createStrays, strayCounters, type Strays } from './strays.ts'
import { watchSignals } from './signals.ts'

export interface GuardDeps {
  readonly config: CoreConfig
  readonly lastSources: readonly LastSource[]
  readonly openSpans: OpenSpans
  readonly sideThread: SideThread
  readonly tracer: () => Tracer
  readonly now: () => EpochMs
  readonly deliver: (span: SpanData) => void
  /** The process is about to end: its metrics are told for the last time. */
  readonly leaveMetrics: () => void
  /** The app's callbacks hear the last of it. */
  readonly tellReports: () => void
  readonly drain: Drain
  readonly stake: Stake
  readonly metrics: MetricRegistry
}

/** Watches the three ways in which this process can end with JavaScript still running: an uncaught error, an exit, a signal. */
export function guardProcess(deps: GuardDeps): void {
  const {
    config,
    lastSources,
    openSpans,
    sideThread,
    tracer,
    now,
    deliver,
    leaveMetrics,
    tellReports,
    drain,
    stake,
    metrics,
  } = deps
  const lastWords = createLastWords({ sources: lastSources, sideThread, holdMs: config.exitHoldMs })
  // Together no longer than an exit may be held; who asks for a longer drain has asked for both.
  const sharesTime = config.drainMs <= config.exitHoldMs
  const sendLastWords = (drainedMs = 0): void => {
    lastWords.send(sharesTime ? drainedMs : 0)
  }
  // A task's own span is told with its outcome, by the patrol, where there is a journal to read.
  const endOpenSpans = (errorType: string): void => {
    openSpans.endAll(errorType, (span) => patrolTells() && isTaskSpan(span))
  }
  // A tool that fails is no news: what serves or has served is.
  const serves = (): boolean => inFlight.size > 0 || sideThread.isAwake
  const strays = createStrays({
    tracer,
    now,
    serves,
    counters: strayCounters(metrics),
    tellCrash({ error, origin, culprit }) {
      tellCrash(deliver, error, origin, culprit?.ref)
    },
  })
  const crashes = watchCrashes({
    now,
    endOpenSpans,
    breakPromise: strays.crash,
    tellHandled: strays.handled,
    tellCrash(uncaught) {
      if (!serves()) return undefined
      const ref = tellCrash(deliver, uncaught.error, uncaught.origin)
      tellStrayCrash(uncaught, ref, now())
      return ref
    },
    sendLastWords: () => {
      lastWords.send(0, false)
    },
    endNow(exitCode) {
      farewell(exitCode)
    },
  })
  watchCaught(crashes, strays)
  const { endAsCrash } = crashes
  const farewell = createFarewell({ now, endOpenSpans, sendLastWords, endAsCrash, leaveMetrics, tellReports })
  watchExit(farewell, sideThread)
  watchSignals(farewell, drain, stake)
}

/** What does not end the process: a rejection that the app has a handler for, and what was thrown behind a response and a framework has. */
function watchCaught(crashes: Crashes, strays: Strays): void {
  watchRejections({ announce: rejectionTeller(crashes, strays) })
  onThrownBehind((record, error) => {
    const culprit = { ref: record.ref, record }
    strays.behind({ error, origin: 'afterResponse', culprit, candidates: [], isCrash: false })
  })
}

/** The app has a handler for it: that may end the process, and the request that threw is guilty then. */
function rejectionTeller(crashes: Crashes, strays: Strays): (error: unknown) => StrayError | undefined {
  const origin = 'unhandledRejection'
  return (error) => {
    const culprit = findCulprit(error, origin)
    const uncaught = { error, origin, culprit, candidates: findCandidates(), isCrash: false }
    const forget = crashes.rejected(uncaught)
    const stray = strays.rejected(uncaught)
    if (!stray) return undefined
    return {
      fail: stray.fail,
      withdraw() {
        forget()
        stray.withdraw()
      },
    }
  }
}
