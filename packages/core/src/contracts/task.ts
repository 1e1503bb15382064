// Vocabulary, used nowhere else differently:
// task: one piece of work that a request (or another task) spawned.  attempt: one run of it.  origin: the span that spawned it.
// carrier: what travels inside the message.  ledger: where outcomes are kept.  patrol: the one process per host that reads
// journals, sweeps and reports.  sweep: one pass of the patrol.  receipt: everything the ledger knows about one trace.
// probe: one question to one dependency.  gate: what must pass before the process says it has started.

/** Trace id + span id of the enqueue span, 48 hex characters: the trace context is the key. */
export type TaskId = string & { readonly __brand: 'TaskId' }
/** Milliseconds since 1970-01-01 UTC, by the clock of the process that wrote it. */
export type EpochMs = number & { readonly __brand: 'EpochMs' }

export interface TraceRef {
  readonly traceId: string
  readonly spanId: string
  readonly sampled: boolean
}

/**
 * Who ran an attempt. pid alone is never an identity: startTicks and bootId tell a reused pid from the old process,
 * across namespaces neither helps, and execve keeps both: hence the nonce.
 */
export interface WorkerRef {
  readonly hostId: string
  readonly bootId: string
  readonly pidNamespace: string
  readonly timeNamespace: string
  readonly pid: number
  readonly startTicks: number
  readonly threadId: number
  readonly nonce: string
  readonly service: string
}

/** Redacted and cut to 1 KiB before it leaves the process. */
export interface TaskFailure {
  readonly type: string
  readonly message: string
  readonly stack?: string
}

export type TaskState = 'pending' | 'enqueued' | 'running' | 'retrying' | 'succeeded' | 'failed' | 'cancelled' | 'lost'
export const TASK_STATES: readonly TaskState[] = [
  'pending',
  'enqueued',
  'running',
  'retrying',
  'succeeded',
  'failed',
  'cancelled',
  'lost',
]

export type TaskReason =
  | 'never_enqueued'
  | 'process_exit'
  | 'process_killed'
  | 'worker_terminated'
  | 'lease_expired' // lost
  | 'threw'
  | 'rejected'
  | 'exited'
  | 'dead_lettered'
  | 'unroutable'
  | 'expired'
  | 'retries_exhausted' // failed
  | 'vanished_from_broker' // lost, by the broker's own word
  | 'aborted'
  | 'deduplicated'
  | 'rolled_back'
  | 'no_reader'
  | 'handled' // cancelled

/** What the state rests on. 'lost' needs proof; a lease decides only where no proof can be had (another host). */
export type Evidence = 'own_report' | 'exit_record' | 'process_gone' | 'lock_free' | 'lease' | 'broker'

/** What a task is called; carried by 'spawned', and by 'started' where the spawn was not seen. */
export interface TaskDescription {
  readonly system: string
  readonly destination: string
  readonly name: string
}

/** Facts only; appended, never edited. The state of a task is a pure fold over them. */
export type TaskEvent =
  | TaskSpawned
  | TaskConfirmed
  | TaskSent
  | TaskStarted
  | TaskHeartbeat
  | TaskSucceeded
  | TaskFailed
  | TaskReleased
  | TaskCancelled
  | TaskLost
  | TaskAcknowledged
  | TaskReported

interface TaskFact<K extends string> {
  readonly kind: K
  readonly taskId: TaskId
  readonly at: EpochMs
}
export interface TaskSpawned extends TaskFact<'spawned'>, TaskDescription {
  readonly origin: TraceRef
  readonly route?: string
  /** The task whose attempt spawned this one. */
  readonly parent?: TaskId
  readonly deadlineAt?: EpochMs
  /** Nobody can be named for it: who may have left it behind. */
  readonly candidates?: readonly TraceRef[]
  /** Its request had been answered when this was spawned: what the patrol then needs to know of it. */
  readonly late?: LateSpawn
}
export interface LateSpawn {
  readonly method: string
  readonly status?: number
  /** Absent: sent. */
  readonly outcome?: RequestOutcome
  readonly hasFailed?: true
  /** Its own process had counted the request already. */
  readonly isCounted: boolean
}
/** The broker has it. */
export interface TaskConfirmed extends TaskFact<'confirmed'> {
  readonly messageId?: string
  /** There where the message could take no carrier along: attempts of a message of this id and place that carry nothing are the task's. */
  readonly description?: TaskDescription
}
/** It has left its sender, who asked the broker for no answer: whether it arrived nobody knows. */
export interface TaskSent extends TaskFact<'sent'> {}
export interface TaskStarted extends TaskFact<'started'> {
  /** 1 for the first run; 0 where the library does not tell: then the fold counts. */
  readonly attempt: number
  /** The attempt's own span: its name in every later event. */
  readonly spanId: string
  readonly maxAttempts?: number
  readonly messageId?: string
  /** Whose copy of the message it runs, where several queues or groups get one each. */
  readonly reader?: string
  /** Earlier runs of it that say no more are over: the broker took it from them. */
  readonly isTakeover?: true
  /** The broker says that it has given it back: what failed before, for good as it seemed, was to be tried again. */
  readonly isReturn?: true
  /** So that a task whose spawn nobody saw still has a name and a trace. */
  readonly description?: TaskDescription
  readonly origin?: TraceRef
}
export interface TaskHeartbeat extends TaskFact<'heartbeat'> {
  readonly progress?: number
}
export interface TaskSucceeded extends TaskFact<'succeeded'> {
  readonly attempt: number
  readonly spanId?: string
}
export interface TaskFailed extends TaskFact<'failed'> {
  readonly attempt: number
  readonly spanId?: string
  readonly reason: TaskReason
  readonly failure: TaskFailure
  readonly willRetry: boolean
  /** Of the child process that the work was. */
  readonly exitCode?: number
  /** The attempt's finished span: what is bad news travels in the journal and is told by the patrol, so that no death in between loses it. */
  readonly span?: EncodedSpan
  /** Its own process exports the span: the patrol must not tell it too. */
  readonly isTold?: true
  /** Whose copy of the message ended so, by the broker's word. */
  readonly reader?: string
}
/** The attempt gave the task back without a result (delayed, rate-limited, waiting for children): it is in the queue again. */
export interface TaskReleased extends TaskFact<'released'> {
  readonly spanId?: string
}
export interface TaskCancelled extends TaskFact<'cancelled'> {
  readonly spanId?: string
  readonly reason: TaskReason
  /** It seemed to wait where all was taken away: an attempt refutes it. */
  readonly isPresumed?: true
}
export interface TaskLost extends TaskFact<'lost'> {
  readonly attempt: number
  readonly spanId?: string
  readonly reason: TaskReason
  readonly evidence: Evidence
  readonly culprit?: TraceRef
  readonly failure?: TaskFailure
  readonly exitCode?: number
  readonly signal?: string
  readonly span?: EncodedSpan
  readonly isTold?: true
}
/** A person has seen it. */
export interface TaskAcknowledged extends TaskFact<'acknowledged'> {
  readonly by: string
  readonly note?: string
}
/** The span was delivered to the collector. */
export interface TaskReported extends TaskFact<'reported'> {
  readonly spanId: string
}

/** One OTLP Span message as base64, and the scope that made it. */
export interface EncodedSpan {
  readonly scope: string
  readonly bytes: string
}

export type RequestOutcome = 'sent' | 'aborted_by_client' | 'aborted_by_server' | 'timed_out' | 'crashed'

/** What the journal says of a request: only of one that promised something, or that its process did not live to answer. */
export type RequestEvent = RequestAnswered

export interface RequestAnswered {
  readonly kind: 'answered'
  /** The SERVER span. */
  readonly origin: TraceRef
  readonly at: EpochMs
  readonly startedAt: EpochMs
  readonly service: string
  readonly method: string
  /** The path without its query. */
  readonly target?: string
  /** The inbound parent, so that the span can be told by others. */
  readonly parentSpanId?: string
  /** How many tasks the request had spawned when its response ended. */
  readonly promised: number
  readonly status?: number
  readonly route?: string
  readonly outcome: RequestOutcome
  /** What it answered was a failure, though its status does not say so. */
  readonly hasFailed?: true
}

/** A request in flight. Noted from its first byte until its response has ended, beside the journal: see FlightLog. */
export interface RequestReceived {
  readonly origin: TraceRef
  readonly at: EpochMs
  readonly method: string
  readonly target: string
  readonly parentSpanId?: string | undefined
}

/** What the journal says of the process that writes it. */
export type ProcessEvent = ProcessOpened | ProcessExiting | ProcessCrashed | QueueEmptied | ThreadEnded

/** Of the resource that a process is, in OpenTelemetry's words. */
export type ResourceAttributes = Readonly<Record<string, string | number>>

/** First record of each segment. */
export interface ProcessOpened {
  readonly kind: 'opened'
  readonly at: EpochMs
  readonly worker: WorkerRef
  readonly resource: ResourceAttributes
  readonly sdkVersion: string
}
/** The process said goodbye: 'exit' ran. */
export interface ProcessExiting {
  readonly kind: 'exiting'
  readonly at: EpochMs
  readonly code: number
  /** The signal that ends it, where it is one. */
  readonly signal?: string
}
/** An uncaught error ends the process. The culprit is the request whose context threw, where one could be named. */
export interface ProcessCrashed {
  readonly kind: 'crashed'
  readonly at: EpochMs
  readonly failure: TaskFailure
  readonly culprit?: TraceRef
}

/** A worker thread of this process is gone: said by the thread that had started it. */
export interface ThreadEnded {
  readonly kind: 'thread_ended'
  readonly at: EpochMs
  readonly threadId: number
  readonly code: number
  /** What it threw, where it threw. */
  readonly failure?: TaskFailure
}

/** Which messages a call of the app's takes away: those of a destination, or those whose ids begin so. */
export interface EmptiedQueue {
  readonly system: string
  readonly destination?: string
  /** Ids that are this and a number behind it; of tasks whose name is a subject that fits, where one is given; but for the newest ones, which are kept. */
  readonly ids?: {
    readonly prefix: string
    readonly from?: number
    readonly below?: number
    readonly subject?: string
    readonly keep?: number
  }
}
/** All that a queue, topic or stream held was taken away, or went with it, at the app's wish. */
export interface QueueEmptied extends EmptiedQueue {
  readonly kind: 'emptied'
  /** What was there by then is gone. */
  readonly at: EpochMs
  /** How many the broker took away, where it says so. */
  readonly count?: number
}

export type JournalEvent = TaskEvent | RequestEvent | ProcessEvent

/** Counted once for each request; a promise that recovers later adds 'recovered'. */
export type EffectiveOutcome = 'kept' | 'false_success' | 'failed' | 'refused' | 'abandoned' | 'recovered'
export const EFFECTIVE_OUTCOMES: readonly EffectiveOutcome[] = [
  'kept',
  'false_success',
  'failed',
  'refused',
  'abandoned',
  'recovered',
]

/** Flags are not states: a clock alone never decides that work is lost. */
export interface TaskFlags {
  readonly overdue: boolean
  readonly stalled: boolean
  readonly recovered: boolean
  readonly duplicate: boolean
  readonly conflict: boolean
  /** Nothing was heard of it for so long that nobody waits for it any more: what became of it is not known. */
  readonly unheard: boolean
}

export interface AttemptRecord {
  readonly n: number
  readonly worker: WorkerRef
  readonly spanId: string
  readonly startedAt: EpochMs
  readonly endedAt?: EpochMs
  readonly state: TaskState
  readonly reason?: TaskReason
  readonly failure?: TaskFailure
}

export interface TaskRecord extends TaskDescription {
  readonly taskId: TaskId
  readonly state: TaskState
  readonly reason?: TaskReason
  readonly evidence?: Evidence
  readonly flags: TaskFlags
  readonly messageId?: string
  /** Which queue or group of consumers: where several get a message, what each makes of it is a task of its own. */
  readonly reader?: string
  /** The task of the same message that was seen first; its id is that of the message's PRODUCER span. */
  readonly copyOf?: TaskId
  readonly origin: TraceRef
  readonly route?: string
  readonly requestStatus?: number
  readonly parent?: TaskId
  /** There, also where it is empty: nobody can be named for it, and these may have left it behind. */
  readonly candidates?: readonly TraceRef[]
  readonly depth: number
  readonly confirmed: boolean
  readonly attempts: readonly AttemptRecord[]
  readonly spawnedAt: EpochMs
  readonly deadlineAt?: EpochMs
  readonly settledAt?: EpochMs
  /** When the collector had the first span that tells of a bad end. Absent: none was told yet, or there was none to tell. */
  readonly reportedAt?: EpochMs
  /** What the sender or the broker said of its end, where no attempt ended it. */
  readonly failure?: TaskFailure
  readonly exitCode?: number
  readonly signal?: string
  /** The last sign of life that the work gave of itself, and how far it was then, from 0 to 1. */
  readonly heartbeatAt?: EpochMs
  readonly progress?: number
}

export interface Receipt {
  readonly traceId: string
  readonly request?: {
    readonly method: string
    readonly route?: string
    readonly status?: number
    readonly at: EpochMs
    readonly service?: string
    readonly outcome?: RequestOutcome
  }
  readonly verdict: 'kept' | 'broken' | 'open' | 'promised_nothing' | 'unknown'
  readonly tasks: readonly TaskRecord[]
  /** How many more there are: of very many those that went badly or have not ended are here, and the newest of the others. */
  readonly omitted?: number
}
