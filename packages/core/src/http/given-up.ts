// A call that the app gives up ends with the same error as one whose server hangs up: which of them it is can be seen only as it is done.
import { executionAsyncResource } from 'node:async_hooks'
import { ClientRequest } from 'node:http'
import { replaceMethod } from '../instrument/replace-method.ts'

const givenUp = new WeakSet<object>()

export function watchGivenUp(): void {
  replaceMethod(
    ClientRequest.prototype,
    'destroy',
    (original) =>
      function (this: ClientRequest, ...args: unknown[]) {
        if (!args[0] && !this.destroyed && !isTimer()) givenUp.add(this)
        return original.apply(this, args)
      },
  )
}

/** Not with an error of the app's own, and not since its time had run out: a timer, also that of its connection, gives up for that. */
export function isGivenUp(request: object, error: unknown): boolean {
  const { code, syscall } = (error ?? {}) as NodeJS.ErrnoException
  return code === 'ECONNRESET' && syscall === undefined && givenUp.has(request)
}

function isTimer(): boolean {
  return '_onTimeout' in executionAsyncResource()
}
