import { describe, expect, test } from 'vitest'
import { hottestStack } from '../src/stall/main-stack.ts'
import { watchStalls, type Stall } from '../src/stall/stall-watch.ts'
import { fakeTime } from './fake-time.ts'

describe('the hottest stack', () => {
  const frame = (functionName: string, url: string, lineNumber: number) => ({ functionName, url, lineNumber })

  test('is the app’s, innermost first, with the hot line of the innermost', () => {
    const nodes = [
      { id: 1, callFrame: frame('(root)', '', -1), children: [2, 5] },
      { id: 2, callFrame: frame('processTimers', 'node:internal/timers', 500), children: [3] },
      { id: 3, hitCount: 1, callFrame: frame('', `file://${process.cwd()}/app.js`, 9), children: [4] },
      {
        id: 4,
        hitCount: 40,
        callFrame: frame('addUp', '/srv/node_modules/sums/add.js', 2),
        positionTicks: [
          { line: 4, ticks: 3 },
          { line: 5, ticks: 37 },
        ],
      },
      { id: 5, hitCount: 90, callFrame: frame('(program)', '', -1) },
    ]
    expect(hottestStack(nodes)).toEqual(['addUp (sums/add.js:5)', '(anonymous) (app.js:10)'])
  })

  test('is empty where no code of the app was seen', () => {
    expect(hottestStack([{ id: 1, hitCount: 9, callFrame: frame('(idle)', '', -1) }])).toEqual([])
  })
})

describe('a stall', () => {
  test('has its stack taken once, and is told when it is over, with its whole length', async () => {
    const time = fakeTime()
    let silentMs = 0
    let taken = 0
    const ended: Stall[] = []
    const watch = watchStalls({
      clock: time.clock,
      mainSilentMs: () => silentMs,
      takeStack: async () => {
        taken++
        return { kind: 'native' }
      },
      onEnd: (stall) => ended.push(stall),
    })
    await time.advance(1000)
    expect([watch.current(), watch.last(), taken]).toEqual([undefined, undefined, 0])
    silentMs = 1600
    await time.advance(300)
    silentMs = 3000
    await time.advance(300)
    expect(watch.current()).toEqual({ silentMs: 3000, stack: { kind: 'native' } })
    silentMs = 0
    await time.advance(300)
    expect(ended).toEqual([{ silentMs: 3000, stack: { kind: 'native' } }])
    expect([watch.current(), watch.last()?.silentMs, taken]).toEqual([undefined, 3000, 1])
    watch.stop()
    expect(time.pending).toBe(0)
  })
})
