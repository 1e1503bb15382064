// mysql2. Commands wait on a connection, and who asks for a connection waits in the pool; both are called back where the socket of the
// connection is read, which is in the context of whoever opened it, or of whoever gives a connection back.
import { context, type Context } from '@opentelemetry/api'
import { replaceMethod } from '../http/routes/framework.ts'
import { callIn, keepContext } from './kept-context.ts'

interface Command {
  onResult?: unknown
}
interface Class {
  readonly prototype: object
}

const contexts = new WeakMap<object, Context>()

/** `lib/commands/command.js`: what comes for a command is taken by it, and told to its listeners. */
export function patchCommand(exports: Class): undefined {
  replaceMethod(
    exports.prototype,
    'execute',
    (original) =>
      function (this: object, ...args) {
        const own = contexts.get(this)
        return own ? callIn(own, original, this, args) : original.apply(this, args)
      },
  )
}

export function patchConnection(exports: Class): undefined {
  replaceMethod(
    exports.prototype,
    'addCommand',
    (original) =>
      function (this: unknown, command: Command, ...rest) {
        contexts.set(command, context.active())
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
