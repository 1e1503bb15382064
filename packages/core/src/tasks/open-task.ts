import { globalState } from '../global-state.ts'
import { createScope, type TaskOptions, type TaskScope } from './scope.ts'

/** A task that ends where its owner says so. The first word counts; later ones are ignored. */
export interface OpenTask extends TaskScope {
  /** Runs fn as part of the task: what it spawns belongs to it. Returns and throws what fn does, and does not end the task. */
  run<R>(fn: () => R): R
  succeed(): void
  /** An AbortError cancels. */
  fail(error: unknown): void
  cancel(): void
  /** Leaves the scope of a `using`. A task that was not ended by then has failed (`TaskScopeLeft`): leaving by an error looks the same. */
  [Symbol.dispose](): void
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Begins a task of the active request that is no single function or promise: several callbacks, a stream, a loop over events.
 * `using task = openTask('import')` and `task.succeed()` at its good end. Never throws. Without the preload nothing is recorded, and
 * the signal and `run` work all the same.
 */
export function openTask(name: string, options?: TaskOptions): OpenTask {
  const begun = globalState().beginTask?.(name, options)
  const bare = begun ? undefined : createScope(options)
  const { signal, heartbeat } = begun?.scope ?? bare!.scope
  const end = (tell: () => void): void => {
    tell()
    bare?.end()
  }
  const leave = (): void => end(() => begun?.fail(new TaskScopeLeft()))
  return {
    signal,
    heartbeat,
    run: (fn) => (begun ? begun.run(() => fn()) : fn()),
    succeed: () => end(() => begun?.succeed()),
    fail: (error) => end(() => begun?.fail(error)),
    cancel: () => end(() => begun?.cancel()),
    [Symbol.dispose]: leave,
    async [Symbol.asyncDispose]() {
      leave()
    },
  }
}

class TaskScopeLeft extends Error {
  override readonly name = 'TaskScopeLeft'
  constructor() {
    super('the scope of the task was left before it had succeeded')
  }
}
