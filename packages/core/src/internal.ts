// What the other packages of Afterspan build on. Not for apps: it changes without notice.
export { createAccess } from './admin/access.ts'
export { metricsRoute } from './admin/metrics-route.ts'
export { AdminServer } from './admin/server.ts'
export { adminSettings } from './admin/settings.ts'
export { boot } from './boot.ts'
export { codeAt } from './char-code.ts'
export { LONGEST_TIMER_MS, systemClock } from './clock.ts'
export { environment, loadSection, nearest, sayUnknown, type Env } from './config/load.ts'
export { loadConfig, otlpSettings, type CoreConfig } from './config/config.ts'
export { coreOptions, otelOptions } from './config/options.ts'
export { spoolOptions } from './config/spool-options.ts'
export { logsOptions, metricsPushOptions } from './config/signal-options.ts'
export { UNSUPPORTED, type Unsupported } from './config/unsupported.ts'
export {
  flag,
  httpUrl,
  integer,
  keyValues,
  list,
  NotAllowed,
  oneOf,
  postgresUrl,
  ratio,
  text,
} from './config/option.ts'
export type { ConfigOf, Option, Section } from './config/option.ts'
export type { FlightLog } from './contracts/flight-log.ts'
export { defineIntegration } from './contracts/integration.ts'
export type {
  AttemptInfo,
  Carrier,
  Integration,
  NoConfirmation,
  SentAs,
  TaskDraft,
  TaskKit,
} from './contracts/integration.ts'
export type { ModuleHook } from './contracts/module-hook.ts'
export type { HealthLog } from './contracts/health-log.ts'
export type { HealthView, HealthVote } from './contracts/health-vote.ts'
export type { Cause, HealthChange, HealthEvidence, HealthProbe, ProbeResult, ProbeStatus } from './contracts/probe.ts'
export type { Incident, Reporter } from './contracts/reporter.ts'
export type {
  AdminHandler,
  AdminReply,
  AdminRequest,
  Clock,
  HistogramSample,
  MetricFamily,
  MetricSample,
  Service,
  MainSession,
  SideHost,
  SideModule,
  SideService,
} from './contracts/service.ts'
export type { SpanSpool, SpoolFile } from './contracts/span-spool.ts'
export { EFFECTIVE_OUTCOMES, TASK_STATES } from './contracts/task.ts'
export type {
  AttemptRecord,
  EffectiveOutcome,
  EmptiedQueue,
  EncodedSpan,
  EpochMs,
  Evidence,
  JournalEvent,
  ProcessCrashed,
  ProcessEvent,
  ProcessExiting,
  ProcessOpened,
  QueueEmptied,
  Receipt,
  RequestAnswered,
  RequestEvent,
  RequestOutcome,
  RequestReceived,
  ResourceAttributes,
  TaskCancelled,
  TaskConfirmed,
  LateSpawn,
  TaskDescription,
  TaskEvent,
  TaskFailed,
  TaskFailure,
  TaskFlags,
  TaskId,
  TaskLost,
  TaskReason,
  TaskRecord,
  TaskReleased,
  TaskSent,
  TaskReported,
  TaskSpawned,
  TaskStarted,
  TaskState,
  TaskSucceeded,
  ThreadEnded,
  TraceRef,
  WorkerRef,
} from './contracts/task.ts'
export type { Core, SideLink } from './core.ts'
export { requireKept } from './code-cache.ts'
export { printable, say, sayAgain, silence } from './diag.ts'
export { AfterspanError, ERROR_CODES, type ErrorCode } from './errors.ts'
export { globalState } from './global-state.ts'
export { inFlight } from './http/in-flight.ts'
export { effectiveOutcome, endOf } from './http/effective.ts'
export { activeRequest, type RequestRecord } from './http/request-record.ts'
export type { LoadingReport } from './instrument/loading-report.ts'
export type { InstrumentationRow, InstrumentationState } from './instrument/status.ts'
export { hideOwnFrames, withOwnFramesHidden } from './instrument/hidden-frames.ts'
export { followObservable } from './instrument/follow-observable.ts'
export { replaceMethod } from './instrument/replace-method.ts'
export { inRange } from './instrument/version-range.ts'
export { renderMetrics } from './metrics/exposition.ts'
export {
  createMetricRegistry,
  type Counter,
  type Gauge,
  type Histogram,
  type MetricRegistry,
} from './metrics/registry.ts'
export { listenToProcess } from './guard/own-listeners.ts'
export { onSignalSent } from './guard/sent-signals.ts'
export { callIn } from './sdk/call-in.ts'
export { throwerOfNow } from './sdk/last-thrower.ts'
export { mayPreload } from './preload-guard.ts'
export { spanId as newSpanId, traceId as newTraceId } from './sdk/ids.ts'
export { droppedSpans } from './sdk/otlp/dropped-spans.ts'
export { encodeSpan, encodeTraceRequest } from './sdk/otlp/encode.ts'
export { postInParts, type PartsReply } from './sdk/otlp/in-parts.ts'
export { shownUrl, type OtlpSettings } from './sdk/otlp/settings.ts'
export { OWN_REQUEST } from './sdk/otlp/own-request.ts'
export { ABOUT_CONTENT, postOtlp, type OtlpReply } from './sdk/otlp/transport.ts'
export { SDK_VERSION } from './sdk/resource.ts'
export { once } from './once.ts'
export { incident } from './reporters/incident-reader.ts'
export { OTLP_KIND, type SpanData, type SpanScope } from './sdk/span-data.ts'
export { LinkedList, type Links } from './linked-list.ts'
export { addSpanObserver, type SpanObserver } from './sdk/span-observers.ts'
export { isOwnWork, withoutSpans, withoutTracing } from './sdk/suppress.ts'
export { processChannel, requestChannel, taskChannel } from './tasks/channel.ts'
export { isAbort } from './tasks/aborted.ts'
export { createKit } from './tasks/kit.ts'
export type { KitDeps } from './tasks/kit-deps.ts'
export { activePromise, type BeginWork, type OpenWork } from './tasks/open-work.ts'
export { letPatrolTell } from './tasks/outcome-teller.ts'
export { isThenable } from './tasks/observe.ts'
export { redact, toFailure } from './tasks/redact.ts'
export type { TaskOptions, TaskScope } from './tasks/scope.ts'
export { carryAttempt, resumeAttempt } from './tasks/resume.ts'
export { isSettling, whileSettling } from './tasks/settling.ts'
export { newUuid } from './uuid.ts'
export { findLedgerDir, nameLedgerDir, openLedgerDir } from './ledger-dir.ts'
export { makeFolder } from './make-folder.ts'
export { listSpool, makeRoom, readSpooled, removeSpooled, shortenSpooled, spooledName } from './spool/spool.ts'
export { leaveUndelivered } from './spool/undelivered.ts'
