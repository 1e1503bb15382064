// Redis by node-redis: commands go through one method of the client, those of transactions and pipelines through two more.
import type { Attributes, Context, Span } from '@opentelemetry/api'
import { replaceMethod } from '../instrument/replace-method.ts'
import { redisStatement } from './redis-statement.ts'
import { asker, isNew, setFailed, type Teller } from './teller.ts'

interface RedisClient {
  readonly options?: { readonly socket?: { readonly host?: unknown; readonly port?: unknown } }
}
type Args = readonly unknown[]

export function patchNodeRedis(exports: any, teller: Teller): void {
  const { prototype } = (exports.default ?? exports) as { readonly prototype: object }
  if (!isNew(prototype)) return
  replaceMethod(
    prototype,
    'sendCommand',
    (original) =>
      function (this: RedisClient, ...given: unknown[]) {
        const caller = Array.isArray(given[0]) ? asker() : undefined
        if (!caller) return original.apply(this, given)
        const span = tellCommand(given[0] as Args, this, teller, caller)
        return followed(() => original.apply(this, given), [span], false)
      },
  )
  for (const [method, kind] of [
    ['_executeMulti', 'MULTI'],
    ['_executePipeline', 'PIPELINE'],
  ] as const)
    replaceMethod(
      prototype,
      method,
      (original) =>
        function (this: RedisClient, ...given: unknown[]) {
          const caller = Array.isArray(given[0]) ? asker() : undefined
          if (!caller) return original.apply(this, given)
          const commands = (given[0] as readonly { readonly args: Args }[]).map(({ args }) => args)
          const operation = operationOf(commands, kind)
          const spans = commands.map((args) => tellCommand(args, this, teller, caller, operation))
          return followed(() => original.apply(this, given), spans, true)
        },
    )
}

function tellCommand(
  args: Args,
  { options }: RedisClient,
  { startSpan, longest }: Teller,
  caller: Context,
  operation?: string,
): Span {
  const name = String(args[0] as string)
  const attributes: Attributes = {
    'db.operation.name': operation ?? name,
    'db.system.name': 'redis',
    'db.query.text': redisStatement(name, args.slice(1), longest),
  }
  const { host, port } = options?.socket ?? {}
  if (typeof host === 'string') attributes['server.address'] = host
  if (typeof port === 'number') attributes['server.port'] = port
  return startSpan(`redis-${name}`, attributes, caller)
}

/** Of several commands that are sent together: named only where all of them are one. */
function operationOf(commands: readonly Args[], kind: string): string {
  const names = new Set(commands.map(([name]) => String(name as string)))
  return names.size === 1 ? `${kind} ${[...names][0]}` : kind
}

/** The promise that is given back is the one that is followed: a branch would make a rejection look handled. */
function followed(send: () => unknown, spans: readonly Span[], areTogether: boolean): unknown {
  const fail = (error: unknown): void => {
    const replies = areTogether ? repliesIn(error) : undefined
    spans.forEach((span, i) => end(span, replies ? replies[i] : error))
  }
  let result: unknown
  try {
    result = send()
  } catch (error) {
    fail(error)
    throw error
  }
  return (result as Promise<unknown>).then(
    (answer) => {
      const answers = areTogether && Array.isArray(answer) ? (answer as readonly unknown[]) : []
      spans.forEach((span, i) => end(span, answers[i]))
      return answer
    },
    (error: unknown) => {
      fail(error)
      throw error
    },
  )
}

/** Each command's own, where only some have failed. */
function repliesIn(error: unknown): readonly unknown[] | undefined {
  const { replies } = (error ?? {}) as { readonly replies?: unknown }
  return Array.isArray(replies) ? replies : undefined
}

function end(span: Span, answer: unknown): void {
  if (answer instanceof Error) {
    span.recordException(answer)
    setFailed(span, answer)
  }
  span.end()
}
