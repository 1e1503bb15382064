import { expect, test } from 'vitest'
import { NO_NEWS } from '../src/refusals.ts'
import { CLIENT_PROBES, clientHooks } from '../src/client-hooks.ts'

const given = {
  add: () => {},
  clock: { monotonicMs: () => 0 },
  onRejected: () => {},
  refusals: () => NO_NEWS,
  onTrouble: () => {},
  settings: {
    consumerStuckMs: 60_000,
    deadPoolMs: 60_000,
    passive: true,
    postgresqlStatement: '',
    queueStatus: 'warn' as const,
    queueWaiting: 0,
    queueOldestMs: 900_000,
    timeoutMs: 1500,
  },
}

test.for(CLIENT_PROBES)(
  'what is said of the probe of $module is what the probe says itself',
  async ({ file, channels: _channels, hooks, ...said }) => {
    const made = hooks(await import(`../src/probes/${file}.ts`), given)
    const { patch: _patch, seek: _seek, ...itself } = made.find(({ name }) => name === said.name)!
    expect(itself).toEqual(said)
  },
)

test('each library is named once, and nothing is loaded before it is', () => {
  const modules = clientHooks('/nowhere', given).map(({ module }) => module)
  expect(new Set(modules).size).toBe(CLIENT_PROBES.length)
})
