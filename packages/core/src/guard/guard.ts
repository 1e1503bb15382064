import type { Tracer } from '@opentelemetry/api'
import type { CoreConfig } from '../config/config.ts'
import type { EpochMs } from '../contracts/task.ts'
import type { Exporter } from '../sdk/exporter.ts'
import type { OpenSpans } from '../sdk/open-spans.ts'
import type { SideThread } from '../side-thread/host.ts'
import { createCrashTask } from '../tasks/crash-task.ts'
import { isTaskSpan, patrolTells } from '../tasks/outcome-teller.ts'
import { watchCrashes } from './crash.ts'
import { createFarewell, watchExit } from './exit.ts'
import { createLastWords, type Spool } from './last-words.ts'
import { watchSignals } from './signals.ts'

/** Watches the three ways in which this process can end with JavaScript still running: an uncaught error, an exit, a signal. */
export function guardProcess(deps: {
  readonly config: CoreConfig
  readonly exporter: Exporter
  readonly openSpans: OpenSpans
  readonly sideThread: SideThread
  readonly tracer: () => Tracer
  readonly now: () => EpochMs
  readonly spool: () => Spool | undefined
}): void {
  const { config, exporter, openSpans, sideThread, tracer, now, spool } = deps
  const { queue } = exporter
  const lastWords = queue
    ? createLastWords({ queue, settings: config.otlp, sideThread, spool, holdMs: config.exitHoldMs })
    : undefined
  const sendLastWords = (): void => {
    lastWords?.send()
  }
  // A task's own span is told with its outcome, by the patrol, where there is a journal to read.
  const endOpenSpans = (errorType: string): void => {
    openSpans.endAll(errorType, (span) => patrolTells() && isTaskSpan(span))
  }
  watchCrashes({ now, endOpenSpans, breakPromise: createCrashTask(tracer, now), sendLastWords })
  const farewell = createFarewell({ now, endOpenSpans, sendLastWords })
  watchExit(farewell)
  watchSignals(farewell)
}
