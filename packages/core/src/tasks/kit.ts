// The narrow waist: an integration says what is sent and what is run; spans, carrier, journal and outcome are decided here.
import { context } from '@opentelemetry/api'
import { suppressTracing } from '@opentelemetry/core'
import type { TaskKit } from '../contracts/integration.ts'
import type { EmptiedQueue } from '../contracts/task.ts'
import { afterRejections } from './after-rejections.ts'
import { processChannel, taskChannel } from './channel.ts'
import { fail, start, succeed, type Attempt } from './consumer.ts'
import type { KitDeps } from './kit-deps.ts'
import { observe } from './observe.ts'
import { redact } from './redact.ts'
import { confirm, neverEnqueued, spawn, type Spawn } from './producer.ts'
import { whileSettling } from './settling.ts'
import { wrapMethod } from './wrap-method.ts'

/** The kit never throws into the app: what goes wrong inside it is counted, and send and run are called all the same, once. */
export function createKit(deps: KitDeps): TaskKit {
  const { onError } = deps
  return {
    enqueue(draft, carrier, send, messageIdOf) {
      const spawned = attemptTo<Spawn>(() => spawn(deps, draft, carrier), onError)
      if (!spawned) return send()
      // What the library asks of its broker is within the PRODUCER span already: spans of its own commands would only be noise.
      return observe(() => context.with(suppressTracing(spawned.active), send), {
        onSuccess: (result, isSync) => {
          const tell = (): void => {
            confirm(deps, spawned, messageIdOf?.(result as never))
          }
          if (isSync || !draft.isAwaited) tell()
          else whileSettling(tell)
        },
        onFailure: (error) => {
          neverEnqueued(deps, spawned, error)
        },
        onError,
      })
    },
    attempt(info, carrier, run) {
      const attempt = attemptTo<Attempt>(() => start(deps, info, carrier), onError)
      if (!attempt) return run()
      const observer = {
        onSuccess: (_result: unknown, isSync: boolean) => {
          const tell = (): void => {
            succeed(deps, attempt)
          }
          if (isSync || !info.isAwaited) tell()
          else whileSettling(tell)
        },
        onFailure: (error: unknown, isSync: boolean) => {
          const tell = (): void => {
            fail(deps, attempt, error, isSync)
          }
          if (isSync || !info.isResultIgnored) tell()
          else afterRejections(tell, onError)
        },
        onError,
      }
      return observe(() => context.with(attempt.active, run), observer, true)
    },
    settle(taskId, event, reason, evidence, told) {
      const at = deps.now()
      if (event === 'cancelled') taskChannel.publish({ kind: 'cancelled', taskId, at, reason })
      else if (event === 'lost') taskChannel.publish({ kind: 'lost', taskId, at, attempt: 0, reason, evidence })
      else {
        const failure = { type: told?.type ?? reason, message: redact(told?.message ?? '') }
        const reader = told?.reader === undefined ? {} : { reader: told.reader }
        taskChannel.publish({ kind: 'failed', taskId, at, attempt: 0, reason, failure, willRetry: false, ...reader })
      }
    },
    empty: (queue) => emptying(deps, queue),
    wrap(target, method, replace) {
      wrapMethod(target, method, replace, onError)
    },
  }
}

function emptying({ now, onError }: KitDeps, queue: EmptiedQueue): (count?: number) => void {
  const at = now()
  return (count) => {
    const known = count !== undefined && count >= 0 ? { count } : {}
    attemptTo(() => processChannel.publish({ kind: 'emptied', ...queue, at, ...known }), onError)
  }
}

function attemptTo<T>(make: () => T | undefined, onError: (error: unknown) => void): T | undefined {
  try {
    return make()
  } catch (error) {
    onError(error)
    return undefined
  }
}
