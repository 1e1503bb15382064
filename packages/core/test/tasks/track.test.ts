import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { globalState } from '../../src/global-state.ts'
import { track } from '../../src/tasks/run-task.ts'

async function unhandledDuring(act: () => unknown): Promise<unknown[]> {
  const unhandled: unknown[] = []
  const others = process.listeners('unhandledRejection')
  process.removeAllListeners('unhandledRejection')
  process.on('unhandledRejection', (reason) => unhandled.push(reason))
  try {
    act()
    await nextTurn()
    await nextTurn()
    return unhandled
  } finally {
    process.removeAllListeners('unhandledRejection')
    for (const other of others) process.on('unhandledRejection', other)
  }
}

const boom = new Error('boom')
const throwing = (): Promise<number> => {
  throw boom
}

type Runner = ReturnType<typeof globalState>['runTask']
function install(runner: Runner): void {
  if (runner) globalState().runTask = runner
  else delete globalState().runTask
}

describe.each(['without the preload', 'with a runner installed'])('track %s', (mode) => {
  const before = globalState().runTask
  afterEach(() => {
    install(before)
  })
  const arrange = (): void => {
    const scope = { signal: new AbortController().signal, heartbeat() {} }
    install(mode === 'with a runner installed' ? (_name, fn) => fn(scope) : undefined)
  }

  it('a function that throws at once comes back as a rejected promise', async () => {
    arrange()
    await expect(track('mail', throwing)).rejects.toBe(boom)
  })

  it('a function that throws at once never counts as an unhandled rejection', async () => {
    arrange()
    expect(await unhandledDuring(() => track('mail', throwing))).toEqual([])
  })

  it('a thenable that is no promise settles as the work does', async () => {
    arrange()
    const thenable = {
      // oxlint-disable-next-line unicorn/no-thenable
      then: (done: (value: number) => void) => {
        done(7)
      },
    } as PromiseLike<number>
    expect(await track('query', () => thenable, { deadlineMs: undefined })).toBe(7)
    expect(await track('query', thenable, { attributes: undefined })).toBe(7)
  })
})
