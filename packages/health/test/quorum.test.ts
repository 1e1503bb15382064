import type { HealthView } from '@afterspan/core/internal'
import { expect, test } from 'vitest'
import { Quorum, sharedTroubles } from '../src/quorum.ts'
import { fakeTime, onError, settled } from './fake-time.ts'

const up: HealthView = { down: [], up: ['db'] }
const down: HealthView = { down: ['db'], up: [] }
const silent: HealthView = { down: [], up: [] }

test.each([
  ['alone', [], false],
  ['one of two', [up], false],
  ['both of two', [down], true],
  ['two of three', [down, up], true],
  ['two of four', [down, up, up], false],
  ['seven of eight', [down, down, down, down, down, down, up], true],
  ['with others that have no such check', [silent, silent, silent], false],
  ['both that have such a check', [silent, down, silent], true],
])('what is down for %s', (_, peers, isShared) => {
  expect([...sharedTroubles(['db'], peers)]).toEqual(isShared ? ['db'] : [])
})

test('it votes at once when something goes down, keeps what the others said for a while, and no longer', async () => {
  const { clock, timer, advance } = fakeTime()
  let view = up
  let answer: readonly HealthView[] | undefined = [down]
  const cast: HealthView[] = []
  let shared = ''
  const quorum = new Quorum({
    clock,
    timer,
    service: 'shop',
    view: () => view,
    cast: () => async (vote) => {
      cast.push({ down: vote.down, up: vote.up })
      return answer
    },
    onShared: (names) => (shared = [...names].join(',')),
    onError,
  })
  const pass = async (ms: number): Promise<void> => {
    await advance(ms)
    await settled()
  }
  await pass(0)
  await pass(4000)
  expect(cast).toEqual([up])
  view = down
  quorum.look()
  await pass(0)
  expect([cast.length, cast.at(-1), shared]).toEqual([2, down, 'db'])
  quorum.look()
  await pass(500)
  expect(cast).toHaveLength(2)
  answer = undefined
  await pass(10_000)
  expect(shared).toBe('db')
  await pass(10_000)
  expect(shared).toBe('')
})
