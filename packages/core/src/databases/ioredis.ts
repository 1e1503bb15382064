// Redis by ioredis, through the one method that every command goes through. Why not its own channels, and not the official
// instrumentation: docs/decisions/own-database-spans.md
import type { Attributes, Context, Span } from '@opentelemetry/api'
import { replaceMethod } from '../instrument/replace-method.ts'
import { redisStatement } from './redis-statement.ts'
import { asker, isNew, setFailed, type Teller } from './teller.ts'

/** Its command is on its way: one that waits for a connection comes through the same method again when there is one. */
const OPEN: unique symbol = Symbol('afterspan.open')
interface Command {
  readonly args?: unknown
  readonly inTransaction?: boolean
  readonly name: string
  readonly pipelineIndex?: number | null
  reject: (error: unknown) => unknown
  resolve: (result: unknown) => unknown
  [OPEN]?: boolean
}
interface RedisClient {
  readonly options?: { readonly host?: unknown; readonly port?: unknown }
}

export function patchIoredis(exports: any, teller: Teller): void {
  const { prototype } = (typeof exports === 'function' ? exports : (exports.default ?? exports.Redis)) as {
    readonly prototype: object
  }
  if (!isNew(prototype)) return
  replaceMethod(
    prototype,
    'sendCommand',
    (original) =>
      function (this: RedisClient, ...args: unknown[]) {
        const command = args[0] as Command | null | undefined
        const caller =
          typeof command === 'object' && command !== null && !command[OPEN] && !isGreeting(command)
            ? asker()
            : undefined
        if (!caller) return original.apply(this, args)
        const span = tellCommand(command!, this, teller, caller)
        try {
          return original.apply(this, args)
        } catch (error) {
          fail(span, error)
          throw error
        }
      },
  )
  // That a connection is wanted: when it is there nobody can say, since ioredis tries again and again.
  replaceMethod(
    prototype,
    'connect',
    (original) =>
      function (this: RedisClient, ...args: unknown[]) {
        const caller = asker()
        if (!caller) return original.apply(this, args)
        const attributes = withAddress({ 'db.system.name': 'redis', 'db.query.text': 'connect' }, this)
        const span = teller.startSpan('connect', attributes, caller)
        try {
          const result = original.apply(this, args)
          span.end()
          return result
        } catch (error) {
          fail(span, error)
          throw error
        }
      },
  )
}

/** Begins its span, which ends when the command settles: that may be at once, in the call that sends it. */
function tellCommand(command: Command, client: RedisClient, teller: Teller, caller: Context): Span {
  const { startSpan, longest } = teller
  const { name, resolve, reject } = command
  const attributes = {
    'db.operation.name': operationOf(command),
    'db.system.name': 'redis',
    'db.query.text': redisStatement(name, command.args, longest),
  }
  const span = startSpan(name, withAddress(attributes, client), caller)
  command[OPEN] = true
  command.resolve = (result) => {
    command[OPEN] = false
    span.end()
    return resolve(result)
  }
  command.reject = (error) => {
    command[OPEN] = false
    fail(span, error)
    // The socket is read in the context of whoever opened it, and nobody may await this.
    return teller.callIn(caller, reject, undefined, [error])
  }
  return span
}

/** What ioredis says of itself to each new connection, whoever opened it. Old servers refuse it, and ioredis does not mind. */
function isGreeting({ name, args }: Command): boolean {
  return (
    name === 'hello' ||
    (name === 'client' && String((args as readonly unknown[] | undefined)?.[0]).toUpperCase() === 'SETINFO')
  )
}

function operationOf({ name, inTransaction, pipelineIndex }: Command): string {
  if (name === 'multi' || name === 'exec') return name
  if (inTransaction) return `MULTI ${name}`
  return pipelineIndex === undefined || pipelineIndex === null ? name : `PIPELINE ${name}`
}

function withAddress(attributes: Attributes, { options }: RedisClient): Attributes {
  const { host, port } = options ?? {}
  if (typeof host === 'string') attributes['server.address'] = host
  if (typeof port === 'number' || typeof port === 'string') attributes['server.port'] = port
  return attributes
}

function fail(span: Span, error: unknown): void {
  if (error) {
    span.recordException(error as Error)
    setFailed(span, error)
  }
  span.end()
}
