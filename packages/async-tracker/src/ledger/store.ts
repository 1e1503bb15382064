// Where outcomes are kept. The patrol reads what it needs, decides (patrol/digest.ts, without I/O), and commits one change:
// everything of it or nothing, the place in the journals included. So a patrol that dies at any moment is taken up from there.
import type {
  EffectiveOutcome,
  EpochMs,
  HealthView,
  HealthVote,
  ProcessCrashed,
  ProcessExiting,
  RequestAnswered,
  ResourceAttributes,
  TaskId,
  TaskState,
  ThreadEnded,
  WorkerRef,
} from '@afterspan/core/internal'
import type { TaskFacts } from '../task-facts.ts'
import type { DerivedState } from '../task-state.ts'

export interface TaskRow {
  readonly facts: TaskFacts
  /** Derived from the facts when the row was written. */
  readonly derived: DerivedState
  /** The request that this work was promised by, itself or through other tasks. */
  readonly requestKey?: RequestKey
  readonly depth: number
}

/** What a verdict on a request needs of a task. */
export interface TaskStanding {
  readonly taskId: TaskId
  readonly requestKey: RequestKey
  readonly depth: number
  readonly state: TaskState
}

/** Trace id and span id of a SERVER span. */
export type RequestKey = string

export interface RequestRow {
  readonly key: RequestKey
  /** Writer of the journal that tells of it. */
  readonly by: string
  readonly answered?: RequestAnswered
  readonly counted?: EffectiveOutcome | 'own'
  readonly isRecovered: boolean
}

export interface ProcessRow {
  readonly key: string
  readonly worker: WorkerRef
  readonly resource: ResourceAttributes
  readonly sdkVersion: string
  readonly openedAt: EpochMs
  readonly crashed?: ProcessCrashed
  readonly exiting?: ProcessExiting
  /** Of a worker thread: what the thread that had started it said of its end. */
  readonly threadEnded?: ThreadEnded
  /** Worker threads that it saw end, the newest of them: their own journals may be read later. */
  readonly endedThreads?: readonly ThreadEnded[]
  /** Proven dead, all that it wrote was read, and what it left open was settled. */
  readonly deadAt?: EpochMs
  /** That was said by another host, which had no proof. The patrol of its own folder does not take it for dead. */
  readonly isLapsed?: true
}

/** A task that was none: an attempt whose message carried no context, and whose task was found by the message's id. */
export interface JoinedRow {
  readonly stray: TaskId
  readonly taskId: TaskId
}

/** How far a segment of a journal was read. */
export interface SegmentRow {
  readonly file: string
  readonly offset: number
}

/** In one change: a thousand took up to 0.7 s out of a ledger of three million, and the thread that does it answers /livez too. */
export const PRUNED_AT_ONCE = 250

export interface PruneLimits {
  /** What settled before may go. */
  readonly before: EpochMs
  /** What waits in nobody's hands, and was last heard of before, may go. Absent: none of it. */
  readonly unheardBefore?: EpochMs
  readonly maxBytes: number
}

/** Nobody is told to wait longer. What is due later than that was written before the wall clock was set back, and is due now. */
export const MOST_WAIT_MS = 600_000

export function isDue(nextAt: number, now: number): boolean {
  return nextAt <= now || nextAt > now + MOST_WAIT_MS
}

/** The first of all ids that come after those of a trace: behind its id they have hex digits. */
export function afterTrace(traceId: string): string {
  return `${traceId}g`
}

/** A span on its way to the collector: always the same bytes, so that a second delivery is the same span. */
export interface OutboxRow {
  readonly spanId: string
  readonly taskId?: TaskId
  /** A whole ExportTraceServiceRequest. */
  readonly body: Uint8Array
  readonly tries: number
  /** How many of them the collector refused for good; absent: none. */
  readonly refusals?: number
  readonly nextAt: EpochMs
}

export interface CounterRow {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface LedgerChange {
  readonly tasks?: readonly TaskRow[]
  /** The rows of the strays go, and what is said of them from now on is said of the task. */
  readonly joined?: readonly JoinedRow[]
  readonly requests?: readonly RequestRow[]
  readonly forgottenRequests?: readonly RequestKey[]
  readonly processes?: readonly ProcessRow[]
  readonly segments?: readonly SegmentRow[]
  readonly forgottenSegments?: readonly string[]
  readonly outbox?: readonly OutboxRow[]
  readonly deliveredSpans?: readonly string[]
  /** Added to what is there. */
  readonly counters?: readonly CounterRow[]
}

export interface TaskQuery {
  readonly traceId?: string
  readonly states?: readonly TaskState[]
  readonly route?: string
  readonly since?: EpochMs
  readonly limit: number
}

export interface LedgerStore {
  readonly name: string
  /** Damage was found in use: closed and opened again, it sets the damaged one aside and begins anew. */
  readonly isDamaged: boolean
  /** Other patrols write to it too: what was read is only sure to be so inside of `exclusive`. */
  readonly isShared: boolean
  /** Idempotent; runs migrations. */
  open(): Promise<void>
  close(): Promise<void>
  commit(change: LedgerChange): Promise<void>
  /** What `work` reads by the ledger that it is given stays so until it has committed to it; all of it is kept, or nothing. */
  exclusive<T>(work: (ledger: LedgerStore) => Promise<T>): Promise<T>
  /**
   * Says that the patrol of this folder lives, takes back what others said of its processes while it did not, and returns processes of other hosts whose patrol has been silent for longer than its
   * lease: what they left open is this patrol's to settle. None where nobody else writes.
   */
  lapsed(): Promise<readonly ProcessRow[]>

  tasks(ids: readonly TaskId[]): Promise<ReadonlyMap<TaskId, TaskRow>>
  /** Tasks that are found by these messages, and attempts that look for theirs: see joining.ts. */
  tasksOfMessages(keys: readonly string[]): Promise<readonly TaskRow[]>
  /** The tasks that these are attempts of; without those that are none. */
  joined(ids: readonly TaskId[]): Promise<ReadonlyMap<TaskId, TaskId>>
  /** The tasks that have a run in this trace, which is not their own: its message carried no context. */
  joinedFromTrace(traceId: string): Promise<readonly TaskId[]>
  /** Open tasks whose attempt, or whose sending, is in the hands of one of these writers. Their ids: there may be very many. */
  openTasksOf(keys: readonly string[]): Promise<readonly TaskId[]>
  /** How each stands, and no more: a request may have promised ten thousand. */
  tasksOfRequests(keys: readonly RequestKey[]): Promise<readonly TaskStanding[]>
  /** Tasks whose parent task had not been seen when they were written, by the parent. */
  orphans(): Promise<ReadonlyMap<TaskId, readonly TaskId[]>>
  /** Newest first. */
  find(query: TaskQuery): Promise<readonly TaskRow[]>
  requests(keys: readonly RequestKey[]): Promise<ReadonlyMap<RequestKey, RequestRow>>
  requestsOfTrace(traceId: string): Promise<readonly RequestRow[]>
  /** Of this folder: those that are not known to be dead, and of the dead so many that were found last. Absent: all. */
  processes(mostDead?: number): Promise<readonly ProcessRow[]>
  /** Of whichever folder; without those that are not there. */
  processesOf(keys: readonly string[]): Promise<readonly ProcessRow[]>
  segments(): Promise<ReadonlyMap<string, number>>
  dueOutbox(now: EpochMs, limit: number): Promise<readonly OutboxRow[]>
  /** Removes what has waited longest beyond so many bytes of spans. Returns how many spans. */
  trimOutbox(maxBytes: number): Promise<number>
  counters(): Promise<readonly CounterRow[]>
  /** Of these states, or of all; 0 for the others. The open ones are counted without a look at what has settled, however much that is. */
  countsByState(states?: readonly TaskState[]): Promise<Readonly<Record<TaskState, number>>>
  /** Open tasks, of each state those that came first, at most `limit` of each; of those that do not run only what came since then. */
  oldestOpen(limit: number, since?: EpochMs): Promise<readonly TaskRow[]>
  /** Leaves what one instance sees of what it shares with others of its service, and returns what those see. Only where several hosts write. */
  vote?(vote: HealthVote): Promise<readonly HealthView[]>
  /**
   * Removes a part of the tasks that are too old or too much, and what belongs to them. When it is the size that forces it, succeeded
   * ones go first, then those that wait in nobody's hands, then failed ones. Open ones that go are counted as forgotten.
   * Returns how many: where that is `PRUNED_AT_ONCE` or more, there may be more to remove.
   */
  prune(limits: PruneLimits): Promise<number>
}
