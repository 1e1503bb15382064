// oRPC answers what a procedure throws itself, and says nothing of it but to the app's own interceptors: the innermost one is ours. It
// routes by names that stand in the path.
import type { ModuleHook } from '../../contracts/module-hook.ts'
import { hideOwnFrames } from '../../instrument/hidden-frames.ts'
import { replaceMethod } from '../../instrument/replace-method.ts'
import { activeInFlight } from '../in-flight.ts'
import { recordActiveError } from './active-teller.ts'
import { withExport } from './framework.ts'

interface Options {
  readonly interceptors?: readonly unknown[]
}
type Constructor = new (router: unknown, options?: Options, ...rest: unknown[]) => object
const ADAPTERS = ['node', 'fetch']

export function orpcHook(): ModuleHook {
  return {
    name: '@orpc/server',
    module: '@orpc/server',
    versions: '>=1.0.0 <2',
    imports: ADAPTERS.map((name) => `@orpc/server/${name}`),
    files: ADAPTERS.map((name) => `dist/adapters/${name}/index.mjs`),
    patch(exports) {
      const RPCHandler = exports.RPCHandler as Constructor | undefined
      if (typeof RPCHandler !== 'function') return undefined
      const watched = new Proxy(RPCHandler, {
        construct(target, [router, options, ...rest], newTarget) {
          return Reflect.construct(
            target,
            [router, hearing(options as Options | undefined), ...rest],
            newTarget,
          ) as object
        },
      })
      return withExport(exports, 'RPCHandler', watched)
    },
  }
}

function hearing(options: Options = {}): Options {
  return { ...options, interceptors: [...(options.interceptors ?? []), hear] }
}

async function hear({ next }: { next(): Promise<unknown> }): Promise<unknown> {
  try {
    const answer = await next()
    watchEvents(answer)
    return answer
  } catch (error) {
    if (!isAnswer(error)) recordActiveError(error)
    throw error
  }
}

/** What a procedure yields follows a 200, and so does what it then throws: oRPC makes an event of that. */
function watchEvents(answer: unknown): void {
  const { body } = (answer as { readonly response?: { readonly body?: unknown } }).response ?? {}
  const request = activeInFlight()
  if (!request || typeof body !== 'object' || body === null || !(Symbol.asyncIterator in body)) return
  replaceMethod(body, 'next', (next) => {
    return function (this: unknown, ...args) {
      const event = next.apply(this, args)
      if (!(event instanceof Promise)) return event
      return event.then(undefined, (error: unknown) => {
        const { cause = error } = Object(error) as { readonly cause?: unknown }
        hideOwnFrames(cause)
        if (!isAnswer(cause)) request.hasBroken(cause)
        throw error
      })
    }
  })
}

/** A refusal, of the app or of oRPC itself: that a method is not allowed, that an input is not valid. */
function isAnswer(error: unknown): boolean {
  const { status } = Object(error) as { readonly status?: unknown }
  return typeof status === 'number' && status < 500
}
