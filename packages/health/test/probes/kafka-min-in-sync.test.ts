import { expect, test, vi } from 'vitest'
import { MinInSync } from '../../src/probes/kafka-min-in-sync.ts'

const WELL = { leader: 0, replicas: [0, 1], isr: [0, 1] }
const SHORT = { leader: 0, replicas: [0, 1], isr: [0] }

function setUp(answer: () => Promise<readonly (readonly [string, string | null])[]>) {
  let now = 0
  const ask = vi.fn<(topics: readonly string[]) => ReturnType<typeof answer>>(answer)
  const known = new MinInSync(() => now)
  return {
    ask,
    of: async (topics: Readonly<Record<string, typeof WELL>>) => {
      const of = await known.of(new Map(Object.entries(topics).map(([name, one]) => [name, [one]])), ask)
      return Object.fromEntries(of)
    },
    wait: (ms: number) => void (now += ms),
  }
}

test('only topics of which replicas are missing are asked about', async () => {
  const { ask, of } = setUp(async () => [['orders', '2']])
  expect(await of({ orders: WELL, mails: WELL })).toEqual({})
  expect(ask).not.toHaveBeenCalled()
  expect(await of({ orders: SHORT, mails: WELL })).toEqual({ orders: 2 })
  expect(ask.mock.calls).toEqual([[['orders']]])
})

test('what is known is asked again after a minute, or with a topic that was not asked about', async () => {
  const { ask, of, wait } = setUp(async () => [
    ['orders', '2'],
    ['mails', null],
  ])
  for (let i = 0; i < 3; i++) expect(await of({ orders: SHORT })).toEqual({ orders: 2 })
  expect(ask).toHaveBeenCalledTimes(1)
  for (let i = 0; i < 3; i++) expect(await of({ orders: SHORT, mails: SHORT })).toEqual({ orders: 2 })
  expect(ask).toHaveBeenCalledTimes(2)
  wait(60_000)
  await of({ orders: SHORT })
  expect(ask).toHaveBeenCalledTimes(3)
})

test('a client that may not ask is not told so each time', async () => {
  const { ask, of } = setUp(async () => {
    throw new Error('TOPIC_AUTHORIZATION_FAILED')
  })
  for (let i = 0; i < 3; i++) expect(await of({ orders: SHORT })).toEqual({})
  expect(ask).toHaveBeenCalledTimes(1)
})
