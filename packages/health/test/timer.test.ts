import { AsyncLocalStorage } from 'node:async_hooks'
import { expect, test } from 'vitest'
import { nodeTimer } from '../src/timer.ts'

test('a wait belongs to nobody who was there when it began, and holds no process', async () => {
  const store = new AsyncLocalStorage<string>()
  const refs = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
  const timer = nodeTimer(AsyncLocalStorage.snapshot(), () => {})
  const before = refs()
  const seen = await store.run(
    'request',
    () =>
      new Promise((resolve) => {
        timer.after(0, () => resolve(store.getStore()))
        expect(refs()).toBe(before)
      }),
  )
  expect(seen).toBeUndefined()
})

test('a wait that was ended does not come', async () => {
  const timer = nodeTimer(
    (fn) => fn(),
    () => {},
  )
  const seen: string[] = []
  const end = timer.after(0, () => seen.push('ended'))
  end()
  end()
  await new Promise<void>((resolve) => timer.after(1, () => resolve()))
  expect(seen).toEqual([])
})

test('what throws is told, and is no uncaught error of the app', async () => {
  const error = new Error('of the engine')
  const told = await new Promise((resolve) => {
    nodeTimer((fn) => fn(), resolve).after(0, () => {
      throw error
    })
  })
  expect(told).toBe(error)
})
