// waitUntil() of srvx, which serves h3 2 and Nitro 3: work that goes on behind the response. It catches what fails there, and prints it.
import { withExport } from '../http/routes/framework.ts'
import { isThenable } from '../tasks/observe.ts'
import { runTask } from '../tasks/run-task.ts'

interface Waiting {
  waitUntil(promise: unknown): unknown
}
interface Exports {
  readonly createWaitUntil?: (...args: unknown[]) => Waiting
}

/** Which of its inner files has the function is the bundler's choice. */
export function patch(exports: Exports): unknown {
  const { createWaitUntil: create } = exports
  if (typeof create !== 'function') return undefined
  return withExport(exports, 'createWaitUntil', function (this: unknown, ...args: unknown[]): Waiting {
    const waiting = create.apply(this, args)
    const { waitUntil } = waiting
    waiting.waitUntil = function (promise) {
      return waitUntil.call(this, isThenable(promise) ? runTask('waitUntil', () => promise) : promise)
    }
    return waiting
  })
}
