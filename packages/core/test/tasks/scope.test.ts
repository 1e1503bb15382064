import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, expect, test, vi } from 'vitest'
import { createScope } from '../../src/tasks/scope.ts'

afterEach(() => {
  vi.useRealTimers()
})

test.for([null, undefined, '20', 20n, Symbol('soon'), {}, NaN, Infinity, 1e308])(
  'a deadline of %s is none: nothing throws, and the signal never aborts',
  (deadlineMs) => {
    vi.useFakeTimers()
    const { scope, end } = createScope({ deadlineMs: deadlineMs as number })
    vi.advanceTimersByTime(3_600_000)
    expect(scope.signal.aborted).toBe(false)
    end()
  },
)

test.for([-5, -Infinity, 0, 1])(
  'a deadline of %d aborts at once, and Node has nothing to warn of',
  async (deadlineMs) => {
    const warnings: string[] = []
    const hear = ({ name }: Error): void => void warnings.push(name)
    process.on('warning', hear)
    const { scope } = createScope({ deadlineMs })
    await new Promise((resolve) => {
      scope.signal.addEventListener('abort', resolve, { once: true })
      setTimeout(resolve, 5_000).unref()
    })
    await nextTurn()
    process.off('warning', hear)
    expect(scope.signal.reason).toMatchObject({ name: 'TimeoutError' })
    expect(warnings).toEqual([])
  },
)
