import { globalState, type EpochMs, type HealthChange, type HealthProbe } from '@afterspan/core/internal'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { health, registerProbe } from '../src/index.ts'
import { tellListeners } from '../src/listeners.ts'

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

test('a probe that is an instance of a class can be put into a group, twice being once', () => {
  class Queue implements HealthProbe {
    readonly name = 'queue'
    readonly component = 'queue'
    readonly criticality = 'optional'
    readonly #result = { status: 'pass' } as const
    check() {
      return Promise.resolve(this.#result)
    }
  }
  boot()
  const queue = new Queue()
  const orders = health.group('orders')
  orders.registerProbe(queue)
  orders.registerProbe(queue)
  const [taken, ...more] = [...active]
  expect(more).toEqual([])
  expect(taken).toMatchObject({ name: 'queue', groups: ['orders'], criticality: 'optional' })
  return expect(taken!.check(AbortSignal.timeout(1000))).resolves.toEqual({ status: 'pass' })
})

describe('listeners', () => {
  const change: HealthChange = { name: 'db', component: 'db', required: true, to: 'fail', at: 1 as EpochMs }

  test('are told until they are taken back; one that fails harms nobody', async () => {
    const told: string[] = []
    const errors: unknown[] = []
    const ends = [
      health.onChange(({ name }) => {
        told.push(name)
        throw new Error('sync')
      }),
      health.onChange(async () => {
        throw new Error('async')
      }),
      health.onChange(({ to }) => told.push(to)),
    ]
    tellListeners(change, (error) => errors.push(error))
    await Promise.resolve()
    expect(told).toEqual(['db', 'fail'])
    expect(errors.map(String)).toEqual(['Error: sync', 'Error: async'])
    for (const end of ends) end()
    tellListeners(change, (error) => errors.push(error))
    expect(told).toHaveLength(2)
  })

  test('do not pile up', () => {
    const ends = Array.from({ length: 1000 }, () => health.onChange(() => {}))
    expect(globalState().healthListeners).toHaveProperty('size', 100)
    for (const end of ends) end()
  })
})
