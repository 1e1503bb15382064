// bottleneck. A job is received in the context of who scheduled it, and run, refused or given up in that of whoever has made room.
import { context, type Context } from '@opentelemetry/api'
import { replaceMethod } from '../instrument/replace-method.ts'
import { callIn } from './kept-context.ts'

const contexts = new WeakMap<object, Context>()

export function patch(Bottleneck: { readonly prototype: object }): undefined {
  replaceMethod(
    Bottleneck.prototype,
    '_receive',
    (original) =>
      function (this: unknown, job: object, ...rest) {
        if (typeof job === 'object' && job !== null) keep(job)
        return original.call(this, job, ...rest)
      },
  )
}

/** The class of its jobs is nobody's export. */
function keep(job: object): void {
  contexts.set(job, context.active())
  for (const method of ['doExecute', 'doExpire', 'doDrop'])
    replaceMethod(
      Object.getPrototypeOf(job),
      method,
      (original) =>
        function (this: object, ...args) {
          return callIn(contexts.get(this) ?? context.active(), original, this, args)
        },
    )
}
