import { expect, test } from 'vitest'
import type { Clock, MainSession } from '../../src/contracts/service.ts'
import { watchSilentMain } from '../../src/side-thread/release-signals.ts'

/** Looks when it is told to, at a main thread that has been silent for so long. */
function watched(answer: (expression: unknown) => Promise<unknown>): {
  readonly asked: unknown[]
  look(silentMs: number): Promise<unknown>
} {
  const asked: unknown[] = []
  let silent = 0
  let tick = async (): Promise<unknown> => undefined
  const clock: Pick<Clock, 'every'> = {
    every(_ms, given) {
      tick = given
      return () => {}
    },
  }
  const session: MainSession = {
    post(method, params) {
      asked.push(method)
      return answer(params)
    },
    within: (work) => work,
  }
  watchSilentMain({ clock, mainSilentMs: () => silent, inspectMain: (use) => use(session) })
  return {
    asked,
    look(silentMs) {
      silent = silentMs
      return tick()
    },
  }
}

test('handlers are taken away once in each long silence, and not in a short one', async () => {
  const { asked, look } = watched(async () => ({ result: {} }))
  for (const silentMs of [0, 2_000, 3_500, 4_500, 60_000]) await look(silentMs)
  expect(asked).toEqual(['Runtime.evaluate'])
  await look(0)
  await look(3_500)
  expect(asked).toHaveLength(2)
})

test('a refusal is asked again', async () => {
  let refusals = 1
  const { asked, look } = watched(async () => {
    if (refusals-- > 0) throw new Error('not now')
    return {}
  })
  for (let i = 0; i < 3; i++) await look(5_000)
  expect(asked).toHaveLength(2)
})
