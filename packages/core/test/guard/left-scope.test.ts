import { AsyncResource } from 'node:async_hooks'
import { expect, test } from 'vitest'
import { hasLeftScope } from '../../src/guard/left-scope.ts'

/** As `library` would have thrown it. */
function thrown(call: (fn: () => void) => void, library = ''): unknown {
  try {
    call(() => {
      throw new RangeError('here')
    })
  } catch (error) {
    const { stack } = error as Error
    ;(error as Error).stack =
      library === '' ? stack! : stack!.replace(/(runInAsyncScope [^\n]*\n)/, `$1    at ${library}\n`)
    return error
  }
  return undefined
}
const resource = new AsyncResource('pool')

test('an error that was thrown through an AsyncResource has left the context of whose it is', () => {
  expect(hasLeftScope(thrown((fn) => resource.runInAsyncScope(fn)))).toBe(true)
  expect(hasLeftScope(thrown(resource.bind((fn) => fn())))).toBe(true)
  const own = 'done (/app/node_modules/pool/index.js:1:1)'
  expect(hasLeftScope(thrown((fn) => resource.runInAsyncScope(fn), own))).toBe(true)
  expect(hasLeftScope(thrown((fn) => fn()))).toBe(false)
})

test('what a request calls at its own end, or with its own body, is still its own', () => {
  for (const library of [
    'listener (/app/node_modules/on-finished/index.js:1:1)',
    'f (C:\\\\a\\node_modules\\raw-body\\index.js:1:1)',
  ])
    expect(hasLeftScope(thrown((fn) => resource.runInAsyncScope(fn), library))).toBe(false)
})

test('a microtask is in the context that it was made in', () => {
  const own = 'AsyncResource.runMicrotask (node:internal/process/task_queues:1:1)'
  expect(hasLeftScope(thrown((fn) => resource.runInAsyncScope(fn), own))).toBe(false)
})

test('whatever was thrown, nothing of ours throws', () => {
  const throwing = Object.defineProperty({}, 'stack', {
    get() {
      throw new Error('a getter of the app')
    },
  })
  for (const each of [undefined, null, 7, 'text', {}, { stack: 7 }, throwing]) expect(hasLeftScope(each)).toBe(false)
})
