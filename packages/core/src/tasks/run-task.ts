import { globalState } from '../global-state.ts'
import { createBeginTask, type BeginTask, type BeginTaskDeps } from './begin-task.ts'
import { observe } from './observe.ts'
import { createScope, type TaskOptions, type TaskScope } from './scope.ts'

/**
 * Runs fn as a task of the active request: its own span, its rows in the journal, its outcome in the ledger. Returns and throws
 * what fn does. Without the preload it only runs fn, and nothing is recorded.
 */
export function runTask<R>(name: string, fn: (scope: TaskScope) => R, options?: TaskOptions): R {
  const run = globalState().runTask
  return run ? run(name, fn, options) : runBare(fn, options)
}

/**
 * Follows a promise (or the function that makes it) that nobody will await. What it returns settles as the work does, and never
 * counts as an unhandled rejection: the failure is in the trace and the ledger instead. A function that throws before it has a
 * promise comes back as a rejected one: nothing is thrown at the caller, with the preload or without.
 */
export function track<T>(
  name: string,
  work: PromiseLike<T> | ((scope: TaskScope) => PromiseLike<T>),
  options?: TaskOptions,
): Promise<T> {
  let followed: Promise<T>
  try {
    followed = runTask(name, (scope) => Promise.resolve(typeof work === 'function' ? work(scope) : work), options)
  } catch (error) {
    followed = Promise.reject(error as Error)
  }
  followed.catch(() => {})
  return followed
}

/** A deadline works without the preload too. */
function runBare<R>(fn: (scope: TaskScope) => R, options: TaskOptions | undefined): R {
  const { scope, end } = createScope(options)
  const quiet = { onSuccess: end, onFailure: end, onError: () => {} }
  return options?.deadlineMs === undefined ? fn(scope) : observe(() => fn(scope), quiet)
}

interface TaskCalls {
  readonly runTask: <R>(name: string, fn: (scope: TaskScope) => R, options?: TaskOptions) => R
  readonly beginTask: BeginTask
}

/** The implementation that core's boot puts into the global state. */
export function createTaskCalls(deps: BeginTaskDeps): TaskCalls {
  const beginTask = createBeginTask(deps)
  return {
    beginTask,
    runTask(name, fn, options) {
      const task = beginTask(name, options)
      if (!task) return runBare(fn, options)
      return observe(() => task.run(fn), {
        onSuccess: task.succeed,
        onFailure: task.fail,
        onError: deps.onError,
      })
    },
  }
}
