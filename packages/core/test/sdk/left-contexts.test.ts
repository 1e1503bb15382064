import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'
import { context, createContextKey, ROOT_CONTEXT } from '@opentelemetry/api'
import { expect, test } from 'vitest'
import { AsyncContextManager } from '../../src/sdk/context-manager.ts'
import { takeThrowers } from '../../src/sdk/last-thrower.ts'
import { watchLeftContexts } from '../../src/sdk/left-contexts.ts'

context.setGlobalContextManager(new AsyncContextManager())
watchLeftContexts()
const mine = ROOT_CONTEXT.setValue(createContextKey('whose'), 'mine')
const fail = (): never => {
  throw new RangeError('here')
}
function stackOf(call: () => unknown): string {
  try {
    call()
  } catch (error) {
    return (error as Error).stack!
  }
  throw new Error('nothing was thrown')
}

test.each([
  ['AsyncResource.bind', () => AsyncResource.bind(fail)],
  ['with a value for this', () => AsyncResource.bind(fail, 'job', {})],
  ['AsyncLocalStorage.bind', () => AsyncLocalStorage.bind(fail)],
  ['AsyncLocalStorage.snapshot', () => AsyncLocalStorage.snapshot().bind(null, fail)],
  ['bind of a resource', () => new AsyncResource('job').bind(fail)],
])('what is bound by %s says whose it was when it throws', (_, bind) => {
  const bound = context.with(mine, bind)
  expect(() => bound()).toThrow(RangeError)
  expect(takeThrowers()).toEqual([mine])
})

test('what runs in the scope of a resource, or as a microtask, has nothing of ours on its stack', async () => {
  const resource = context.with(mine, () => new AsyncResource('job'))
  expect(stackOf(() => resource.runInAsyncScope(fail))).not.toContain('src/sdk/left-contexts')
  expect(takeThrowers()).toEqual([])
  const stack = await new Promise((resolve) => {
    queueMicrotask(() => {
      resolve(stackOf(fail))
    })
  })
  expect(stack).not.toContain('src/sdk/left-contexts')
})
