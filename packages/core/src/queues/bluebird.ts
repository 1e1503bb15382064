// bluebird. What waits for its promises is run by one tick, and rejections that nobody handles are told by one timer: that of whoever
// came first.
import { context, type Context } from '@opentelemetry/api'
import { hideOwnFrames } from '../instrument/hidden-frames.ts'
import { replaceMethod } from '../instrument/replace-method.ts'
import { callIn } from './kept-context.ts'

interface Bluebird {
  _settledValue(): unknown
}

/** Of whoever called `then` and its like for a promise, else of whoever rejected it. */
const owners = new WeakMap<object, Context>()

export function patch({ prototype }: { readonly prototype: object }): undefined {
  replaceMethod(
    prototype,
    '_then',
    (original) =>
      function (this: object, ...args) {
        const promise = original.apply(this, args) as object
        owners.set(promise, context.active())
        return promise
      },
  )
  // The promise that the callback is for comes first; within the library there are callbacks for none.
  replaceMethod(
    prototype,
    '_settlePromise',
    (original) =>
      function (this: object, ...args) {
        const own = owners.get(args[0])
        // Not through callIn: where there is no need, the callback has one frame of ours on its stack, not two.
        if (!own || own === context.active()) return original.apply(this, args)
        return context.bind(own, original).apply(this, args)
      },
  )
  replaceMethod(
    prototype,
    '_ensurePossibleRejectionHandled',
    (original) =>
      function (this: object, ...args) {
        if (!owners.has(this)) owners.set(this, context.active())
        return original.apply(this, args)
      },
  )
  replaceMethod(
    prototype,
    '_notifyUnhandledRejection',
    (original) =>
      function (this: Bluebird, ...args) {
        hideOwnFrames(this._settledValue())
        return callIn(owners.get(this) ?? context.active(), original, this, args)
      },
  )
}
