import { AsyncLocalStorage } from 'node:async_hooks'
import { tracingChannel } from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import { runInThisContext } from 'node:vm'
import { expect, test } from 'vitest'
import { KnownClients } from '../src/known-clients.ts'
import { madeBy } from '../src/made-at.ts'

function boundary(own: RegExp): ReturnType<typeof madeBy> {
  return madeBy(boundary, own)
}

test('the caller is told by file and line, from the working folder', () => {
  expect(boundary(/nothing/)).toEqual({
    kind: 'app',
    at: expect.stringMatching(/^(?:packages\/health\/)?test\/made-at\.test\.ts:\d+$/),
  })
})

test('frames of the library itself are passed over', () => {
  const made = boundary(/made-at\.test/)
  expect(made.kind === 'app' ? made.at : '').not.toContain('made-at.test')
})

test('what of Afterspan stands between the two is passed over', () => {
  let made: ReturnType<typeof madeBy> | undefined
  const look = (): boolean => {
    made = madeBy(look, /nothing/)
    return true
  }
  const own = new KnownClients<object>(
    'clients',
    () => false,
    () => {},
  )
  own.add({})
  own.isAnother({}, look)
  expect(made).toEqual({ kind: 'app', at: expect.stringMatching(/test\/made-at\.test\.ts:\d+$/) })
})

type Made = ReturnType<typeof madeBy>

test('what a library of the app has made is told by the line of the app that had it made, be it behind an await', async () => {
  const inLibrary = { filename: '/srv/node_modules/orm/lib/source.js' }
  const now = runInThisContext('(make) => make(/nothing/)', inLibrary) as (make: typeof boundary) => Made
  const later = runInThisContext('async (make) => (await null, make(/nothing/))', inLibrary) as (
    make: typeof boundary,
  ) => Promise<Made>
  const told = { kind: 'app', through: 'orm/lib/source.js:1', at: expect.stringMatching(/made-at\.test\.ts:\d+$/) }
  expect(now(boundary)).toEqual(told)
  const answer = await later(boundary)
  expect(answer).toEqual(told)
  // Nobody of the app is on the stack.
  const alone = runInThisContext('(make, done) => setImmediate(() => done(make(/nothing/)))', inLibrary) as (
    make: typeof boundary,
    done: (made: Made) => void,
  ) => void
  const at = 'orm/lib/source.js:1'
  expect(await new Promise((resolve) => alone(boundary, resolve))).toEqual({ kind: 'app', at, through: at })
})

test('a stack that leads from the library into Node is the library alone', async () => {
  const made = await new Promise((resolve) => {
    setImmediate(() => resolve(boundary(/made-at\.test/)))
  })
  expect(made).toEqual({ kind: 'library' })
})

test('a library that is called in a context of its own is still called by the app', () => {
  const store = new AsyncLocalStorage<object>()
  const ask = (): ReturnType<typeof madeBy> => boundary(/at ask /)
  expect(tracingChannel('afterspan:test').traceSync(() => store.run({}, ask), {})).toMatchObject({
    kind: 'app',
    at: expect.stringMatching(/made-at\.test\.ts:\d+$/),
  })
  const inLibrary = store.run({}, () => boundary(/made-at\.test/))
  expect(inLibrary.kind === 'app' ? inLibrary.at : '').not.toMatch(/^node:/)
})

test('what an instrumentation puts between a constructor and its methods is passed over', () => {
  class Client {
    readonly made = wrapper(() => boundary(/at new Client/))
  }
  function wrapper<T>(fn: () => T): T {
    return fn()
  }
  const { made } = new Client()
  const line = made.kind === 'app' ? Number(made.at.split(':').at(-1)) : 0
  expect(line).toBe(lineOf('const { made } = new Client()'))
})

function lineOf(text: string): number {
  return (
    readFileSync(new URL(import.meta.url), 'utf8')
      .split('\n')
      .findIndex((line) => line.includes(text)) + 1
  )
}

test('a stack that cannot be read is unknown, and the app gets its limit back', () => {
  const { stackTraceLimit } = Error
  const before = Object.getOwnPropertyDescriptor(Error, 'prepareStackTrace')
  Error.prepareStackTrace = () => 'nothing of the usual form'
  Error.stackTraceLimit = 3
  try {
    expect(boundary(/nothing/)).toEqual({ kind: 'unknown' })
    expect(Error.stackTraceLimit).toBe(3)
  } finally {
    Error.stackTraceLimit = stackTraceLimit
    if (before) Object.defineProperty(Error, 'prepareStackTrace', before)
    else Reflect.deleteProperty(Error, 'prepareStackTrace')
  }
})

test('a limit of the app that is too short to see its own code does not matter', () => {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    expect(boundary(/nothing/).kind).toBe('app')
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
})
