// A kit that only writes down what an integration asked of it.
import type { AttemptInfo, Carrier, EmptiedQueue, SentAs, TaskDraft, TaskKit } from '@afterspan/core/internal'
import { observe } from '../../../core/src/tasks/observe.ts'
import { wrapMethod } from '../../../core/src/tasks/wrap-method.ts'

/** A task that was sent. `messageId` null: deduplicated. */
export interface Sent {
  readonly draft: TaskDraft
  readonly taskId: string
  readonly traceparent: string
  state: 'spawned' | 'confirmed' | 'deduplicated' | 'never_enqueued' | 'rolled_back' | 'unanswered' | 'no_reader'
  messageId?: SentAs
  error?: unknown
}
export interface Run {
  readonly info: AttemptInfo
  /** Which task the carrier named. */
  readonly traceparent: string | undefined
  state: 'running' | 'succeeded' | 'retrying' | 'failed' | 'released' | 'cancelled'
  error?: unknown
}
export interface Settled {
  readonly taskId: string
  readonly event: string
  readonly reason: string
}

export interface FakeKit {
  readonly kit: TaskKit
  readonly sent: Sent[]
  readonly runs: Run[]
  readonly settled: Settled[]
  readonly emptied: (EmptiedQueue & { readonly count?: number })[]
  readonly errors: unknown[]
  /** Forgets what was written down so far. */
  clear(): void
  /** Resolves as soon as the condition holds: looked at after everything that is written down. */
  until(condition: () => boolean): Promise<void>
  /** Takes all wraps back, the last one first. */
  undo(): void
}

export function createFakeKit(): FakeKit {
  const sent: Sent[] = []
  const runs: Run[] = []
  const settled: Settled[] = []
  const emptied: (EmptiedQueue & { readonly count?: number })[] = []
  const errors: unknown[] = []
  const undos: (() => void)[] = []
  let count = 0
  const waiting = new Set<() => void>()
  const look = (): void => {
    for (const check of waiting) check()
  }
  const onError = (error: unknown): void => {
    errors.push(error)
  }
  const kit: TaskKit = {
    empty: (queue) => (count) => {
      emptied.push({ ...queue, ...(count === undefined ? {} : { count }) })
      look()
    },
    enqueue(draft, carrier, send, messageIdOf) {
      const spanId = (++count).toString(16).padStart(16, '0')
      const traceId = 'a'.repeat(32)
      const task: Sent = {
        draft,
        taskId: traceId + spanId,
        traceparent: `00-${traceId}-${spanId}-01`,
        state: 'spawned',
      }
      carrier.set('traceparent', task.traceparent)
      sent.push(task)
      look()
      const observer = {
        onSuccess(result: unknown) {
          task.messageId = messageIdOf?.(result as never)
          const { messageId } = task
          task.state =
            messageId === null ? 'deduplicated' : typeof messageId === 'object' ? messageId.instead : 'confirmed'
          look()
        },
        onFailure(error: unknown) {
          task.state = 'never_enqueued'
          task.error = error
          look()
        },
        onError,
      }
      return observe(send, observer)
    },
    attempt(info, carrier: Carrier, run) {
      const attempt: Run = { info, traceparent: carrier.get('traceparent'), state: 'running' }
      runs.push(attempt)
      look()
      const observer = {
        onSuccess() {
          attempt.state = 'succeeded'
          look()
        },
        onFailure(error: unknown) {
          const isLast = info.maxAttempts === undefined || (info.attempt > 0 && info.attempt >= info.maxAttempts)
          attempt.error = error
          attempt.state = info.outcomeOf?.(error) ?? (isLast ? 'failed' : 'retrying')
          look()
        },
        onError,
      }
      return observe(run, observer, true)
    },
    settle(taskId, event, reason) {
      settled.push({ taskId, event, reason })
      look()
    },
    wrap(target, method, replace) {
      const before = Object.getOwnPropertyDescriptor(target, method)
      wrapMethod(target, method, replace, onError)
      undos.push(() => {
        if (before) Object.defineProperty(target, method, before)
        else Reflect.deleteProperty(target, method)
      })
    },
  }
  return {
    kit,
    sent,
    runs,
    settled,
    emptied,
    errors,
    clear() {
      for (const list of [sent, runs, settled, emptied, errors]) list.length = 0
    },
    until(condition) {
      return new Promise((resolve) => {
        const check = (): void => {
          if (!condition()) return
          waiting.delete(check)
          resolve()
        }
        waiting.add(check)
        check()
      })
    },
    undo() {
      for (const undo of undos.splice(0).reverse()) undo()
    },
  }
}
