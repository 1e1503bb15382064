// after() of Next.js: what a page, an action or a route handler wants done once the response is out. Next.js catches what it throws,
// and prints it. The class that has it is in each of its bundles; the store of a request, which holds one, goes through one file.
import { replaceMethod } from '../instrument/replace-method.ts'
import { isThenable } from '../tasks/observe.ts'
import { runTask } from '../tasks/run-task.ts'

interface AfterContext {
  after(task: unknown, ...rest: unknown[]): unknown
}
interface Exports {
  readonly workAsyncStorage?: { run(store: { readonly afterContext?: AfterContext } | undefined): unknown }
}

export function patch({ workAsyncStorage }: Exports): undefined {
  const seen = new WeakSet<object>()
  replaceMethod(
    workAsyncStorage,
    'run',
    (original) =>
      function (this: unknown, store: { readonly afterContext?: AfterContext } | undefined, ...rest) {
        const prototype: unknown = store?.afterContext && Object.getPrototypeOf(store.afterContext)
        if (prototype && !seen.has(prototype)) {
          seen.add(prototype)
          follow(prototype)
        }
        return original.call(this, store, ...rest)
      },
  )
}

/** A function is a task from when it runs, which is when the response is out; a promise runs already. */
function follow(prototype: object): void {
  replaceMethod(
    prototype,
    'after',
    (original) =>
      function (this: unknown, task: unknown, ...rest) {
        if (typeof task === 'function')
          return original.call(this, () => runTask('after', () => task() as unknown), ...rest)
        return original.call(this, isThenable(task) ? runTask('after', () => task) : task, ...rest)
      },
  )
}
