import { globalState, type HealthProbe } from '@afterspan/core/internal'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { health, registerProbe } from '../src/index.ts'

const probe: HealthProbe = {
  name: 'db',
  component: 'db',
  criticality: 'required',
  check: async () => ({ status: 'pass' }),
}
let active: Set<HealthProbe>

/** As health's boot does. */
function boot(): void {
  const state = globalState()
  state.registerProbe = (given) => {
    active.add(given)
    return () => active.delete(given)
  }
  for (const waiting of state.waitingProbes.splice(0)) state.registerProbe(waiting)
}

beforeEach(() => {
  active = new Set()
})
afterEach(() => {
  delete globalState().registerProbe
  globalState().waitingProbes.length = 0
})

test('before the preload a probe waits, and can be taken back', () => {
  const remove = registerProbe(probe)
  expect(globalState().waitingProbes).toEqual([probe])
  remove()
  boot()
  expect(active.size).toBe(0)
})

test('a probe that waited can still be taken back when health has taken it over', () => {
  const remove = registerProbe(probe)
  boot()
  expect([...active]).toEqual([probe])
  remove()
  expect(active.size).toBe(0)
  active.add(probe)
  remove()
  expect(active.size).toBe(1)
})

test('after the preload it goes straight there', () => {
  boot()
  const remove = health.registerProbe(probe)
  expect([...active]).toEqual([probe])
  remove()
  expect(active.size).toBe(0)
})

test('without a preload probes do not pile up', () => {
  for (let i = 0; i < 1000; i++) registerProbe({ ...probe })
  expect(globalState().waitingProbes).toHaveLength(100)
})
