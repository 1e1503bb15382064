import type { EmptiedQueue, Evidence, TaskId, TaskReason } from './task.ts'

/** A string map that travels inside the message (headers, job data ...). */
export interface Carrier {
  get(key: string): string | undefined
  set(key: string, value: string): void
}
export interface TaskDraft {
  readonly system: string
  readonly destination: string
  readonly name: string
  readonly deadlineMs?: number
  /** The message takes no carrier along: its attempts are found by its id. Read again when the broker has it. */
  readonly isFoundById?: boolean
  /** Whoever sends goes on only from the promise that `enqueue` returns: 'confirmed' is then written before that, with whatever is confirmed in the same moment. */
  readonly isAwaited?: boolean
}
/** What the broker made of a message: its id, where that is known; null: it took no new message (deduplicated); or what it said instead. */
export type SentAs = string | null | undefined | NoConfirmation
export interface NoConfirmation {
  /** 'unanswered': the broker was asked for no answer, and whether it has the message nobody knows; 'rolled_back': its transaction was; 'no_reader': it went to where nobody reads it, so nobody owes it; an attempt refutes that. */
  readonly instead: 'rolled_back' | 'unanswered' | 'no_reader'
}
/** Read when the attempt starts, and again when it fails: what the library tells only then may be filled in until then. */
export interface AttemptInfo {
  readonly system: string
  readonly destination: string
  readonly name: string
  /** 1 for the first run; 0 where the library does not tell. */
  readonly attempt: number
  /** Runs in all, the first included. Absent: a failure is taken as final. */
  readonly maxAttempts?: number
  readonly messageId?: string
  /** Who runs it, where several groups of consumers each get every message. */
  readonly consumerGroup?: string
  /** Whose copy this is, where a broker gives one message to several queues: like the runs of several groups, those of each reader are a task of their own. */
  readonly reader?: string
  /** The broker has taken it from whoever had it (idle for too long, not answered in time): a run of it that says no more is over. */
  readonly isTakeover?: boolean
  /** Where it had failed, or was cancelled, it came back by a way that only the broker knew of: what counted as its end was none. */
  readonly isReturn?: boolean
  /** Whoever runs it goes on only from the promise that `attempt` returns: 'succeeded' is then written before that, with whatever succeeds in the same moment. */
  readonly isAwaited?: boolean
  /** Nobody looks at what the handler returns: its rejection is the process's, and most often its end. */
  readonly isResultIgnored?: true
  /** When it was over by performance.now(), where that is told a turn later: what came of it may have begun by then. */
  readonly overSinceMs?: number
  /** What a final failure is called where the library knows better than 'threw', 'rejected' or 'retries_exhausted'. */
  readonly failedAs?: TaskReason
  /**
   * What a throw of the handler means where the library gives it a meaning: 'failed' for good, whatever attempts are left;
   * 'released': the task went back to the queue without a result (delayed, rate-limited, waiting for children).
   * 'retrying': it fails, and will be tried again however often it was.
   * Undefined: it fails and is retried while attempts are left; without `maxAttempts` an AbortError cancels.
   */
  readonly outcomeOf?: (error: unknown) => 'failed' | 'released' | 'cancelled' | 'retrying' | undefined
}

/** All that an integration may do. Spans, journal, metrics and retries are not its business. */
export interface TaskKit {
  /** false: nothing may be added to what the app gave; where the library has no place of its own for headers, attempts are joined by message id alone. */
  readonly carriesInData?: boolean
  /** Publishes 'spawned', then calls send; 'confirmed' (with the message id, where `messageIdOf` finds one) when what it returns settles well. Where `messageIdOf` says that the broker took no new message, that its transaction was rolled back, or that nobody reads it, the task is cancelled; where the broker gives no answer, it stays pending, in nobody's hands. */
  enqueue<R>(draft: TaskDraft, carrier: Carrier, send: () => R, messageIdOf?: (result: Awaited<R>) => SentAs): R
  /** Runs one attempt in the carrier's context: 'started', then how it ended. */
  attempt<R>(info: AttemptInfo, carrier: Carrier, run: () => R): R
  /** A terminal fact that only the broker knew (dead-lettered, returned, expired, removed). `reader`: of whose copy, as the attempts say it. */
  settle(
    taskId: TaskId,
    event: 'failed' | 'cancelled' | 'lost',
    reason: TaskReason,
    evidence: Evidence,
    failure?: { readonly type?: string; readonly message?: string; readonly reader?: string },
  ): void
  /**
   * Before a call by which the app takes away all that a queue, topic or stream holds, where nobody says what that was. What it returns
   * is to be called once the broker has done so: what had been sent there before, and nobody has begun, is then cancelled. `count`: how
   * many the broker took, where it says so; where more seem to wait, others have had some of them, nobody knows which, and all stay open.
   */
  empty(queue: EmptiedQueue): (count?: number) => void
  /** Wraps a method and remembers how to undo it. A throw inside `replace` itself leaves the method as it was. */
  wrap<T extends object, K extends keyof T & string>(target: T, method: K, replace: (original: T[K]) => T[K]): void
}

export interface Integration<ModuleExports = any> {
  /** File name = integration name = configuration key. */
  readonly name: string
  /** What to hook: 'bullmq', 'node:worker_threads'. */
  readonly module: string
  /** Files of the package whose exports `patch` gets, one by one, in place of the package's own: 'lib/channel.js'. Of CommonJS packages, unless it says `hasModules`. */
  readonly files?: readonly string[]
  /** The files may be ES modules, which the package imports itself: they are seen there too, and what they export can be replaced. */
  readonly hasModules?: true
  /** The tested semver range; outside it: said once, left alone. */
  readonly versions: string
  /** OpenTelemetry scopes whose own PRODUCER and CONSUMER spans this integration stands in for. */
  readonly replacesScopes?: readonly string[]
  /** `messaging.system`s whose messages this integration follows: once it has patched, spans that others make of them are not taken for tasks too. */
  readonly systems?: readonly string[]
  patch(exports: ModuleExports, kit: TaskKit): void
}
export function defineIntegration<E>(integration: Integration<E>): Integration<E> {
  return integration
}
