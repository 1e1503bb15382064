// Connect has no routes. Its errors go down the list of middleware to whoever takes them: a layer of ours stands at the end of it, and
// before each of the app's that takes errors. Nothing of ours is called where nothing throws.
import type { ModuleHook } from '../../contracts/module-hook.ts'
import { copyNature, replaceMethod } from '../../instrument/replace-method.ts'
import type { RequestTeller } from './framework.ts'

type Handle = (...args: unknown[]) => unknown
interface Layer {
  readonly route: string
  readonly handle: Handle
}
interface App {
  readonly stack: Layer[]
}

export function connectHook({ recordError }: RequestTeller): ModuleHook {
  // Connect calls it for errors because it names four parameters.
  const seen: Layer = {
    route: '',
    handle: (error: unknown, request: unknown, _response: unknown, next: unknown) => {
      recordError(request, error)
      ;(next as (error: unknown) => void)(error)
    },
  }
  const watch = (app: App): void => {
    replaceMethod(
      app,
      'use',
      (use) =>
        function (this: App, ...args: unknown[]) {
          const result = use.apply(this, args)
          const { stack } = this
          const added = stack.at(-1)
          if (!added) return result
          if (stack.at(-2) === seen) stack.splice(-2, 1)
          if (added.handle.length === 4) stack.splice(-1, 0, seen)
          stack.push(seen)
          return result
        },
    )
  }
  return {
    name: 'connect',
    module: 'connect',
    versions: '>=3.0.0 <4',
    patch(exports) {
      const create = exports as (() => App) & object
      const replacement = function (this: unknown): App {
        const app = create.call(this)
        watch(app)
        return app
      }
      return copyNature(create, replacement)
    },
  }
}
