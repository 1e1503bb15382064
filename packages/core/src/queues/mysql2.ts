// mysql2. Commands wait on a connection, and who asks for a connection waits in the pool; both are called back where the socket of the
// connection is read, which is in the context of whoever opened it, or of whoever gives a connection back.
import { context, type Context } from '@opentelemetry/api'
import { replaceMethod } from '../instrument/replace-method.ts'
import { keepContext } from './kept-context.ts'

interface Command {
  onResult?: unknown
}
interface Class {
  readonly prototype: object
}

type Run = (fn: (...args: any[]) => unknown, self: unknown, args: unknown[]) => unknown
const run: Run = (fn, self, args) => fn.apply(self, args)
/** Of a command: the context of who gave it, and `run` bound to that. It is called for each packet, so for each row. */
const kept = new WeakMap<object, { readonly own: Context; runThere?: Run }>()

/** `lib/commands/command.js`: what comes for a command is taken by it, and told to its listeners. */
export function patchCommand(exports: Class): undefined {
  replaceMethod(
    exports.prototype,
    'execute',
    (original) =>
      function (this: object, ...args) {
        const its = kept.get(this)
        if (!its || its.own === context.active()) return original.apply(this, args)
        its.runThere ??= context.bind(its.own, run)
        return its.runThere(original, this, args)
      },
  )
}

export function patchConnection(exports: Class): undefined {
  replaceMethod(
    exports.prototype,
    'addCommand',
    (original) =>
      function (this: unknown, command: Command, ...rest) {
        kept.set(command, { own: context.active() })
        // A connection that breaks tells it without `execute`.
        if (typeof command.onResult === 'function') command.onResult = keepContext(command.onResult)
        return original.call(this, command, ...rest)
      },
  )
}

export function patchPool(exports: Class): undefined {
  replaceMethod(
    exports.prototype,
    'getConnection',
    (original) =>
      function (this: unknown, done: unknown, ...rest) {
        return original.call(this, keepContext(done), ...rest)
      },
  )
}
