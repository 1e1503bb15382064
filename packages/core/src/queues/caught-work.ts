// Work of a request whose errors its library catches and only logs: nobody but the task tells of them. What the library gets, and so
// the line that it logs, is what it would have had without us.
import { globalState } from '../global-state.ts'
import { hideOwnFrames, withOwnFramesHidden } from '../instrument/hidden-frames.ts'
import type { BegunTask } from '../tasks/begin-task.ts'
import { isThenable } from '../tasks/observe.ts'

/** Calls it as a task of the active request or task. For callers that await whatever it returns. */
export function runCaught(name: string, call: () => unknown): unknown {
  const task = globalState().beginTask?.(name)
  if (!task) return call()
  let result: unknown
  try {
    result = withOwnFramesHidden(() => task.run(call))
  } catch (error) {
    task.fail(error, true)
    hideOwnFrames(error)
    throw error
  }
  if (isThenable(result)) return untilOver(task, result)
  task.succeed()
  return result
}

/** Awaits, where a `then` would do: V8 names who waits on the stack of what is thrown, and through a `then` it does not see. */
async function untilOver(task: BegunTask, work: PromiseLike<unknown>): Promise<unknown> {
  try {
    const value = await work
    task.succeed()
    return value
  } catch (error) {
    task.fail(error)
    hideOwnFrames(error)
    throw error
  }
}

/** `Class.method`, as the app's own code has it. */
export function nameOfMethod(instance: unknown, method: unknown): string {
  const { name } = (instance as { constructor?: { name?: unknown } } | undefined)?.constructor ?? {}
  return typeof name === 'string' && name ? `${name}.${String(method)}` : String(method)
}
