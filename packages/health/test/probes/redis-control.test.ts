import type { ProbeResult } from '@afterspan/core/internal'
import { beforeEach, expect, test } from 'vitest'
import { FreshControl } from '../../src/probes/fresh-control.ts'
import { experiment, isSilent } from '../../src/probes/redis-control.ts'
import { settled } from '../fake-time.ts'

const ENDED: ProbeResult = {
  status: 'fail',
  code: 'client_ended',
  cause: 'dependency',
  reason: 'the client has given up',
  observed: { ready: { value: 0 } },
}
let now: number
let made: number
let isBetter: () => boolean
let control: FreshControl

beforeEach(() => {
  now = 0
  made = 0
  isBetter = () => true
  control = new FreshControl(isSilent, () => now, 60_000)
})

async function round(result = ENDED): Promise<string | undefined> {
  const judged = control.judge(result, async () => {
    made++
    if (!isBetter()) throw new Error('ECONNREFUSED')
  })
  await settled()
  now += 5000
  return judged.cause
}
async function until(cause: string): Promise<number> {
  for (let i = 0; i < 100; i++) if ((await round()) === cause) return i * 5
  throw new Error(`never ${cause}`)
}

test('a restart is asked for when a new client has worked for as long as the bound, by few experiments', async () => {
  expect(await until('self_wedged')).toBe(60)
  expect(made).toBe(5)
  expect(await round({ status: 'pass' })).toBeUndefined()
  expect(await round()).toBe('dependency')
})

test('the time that the server itself was away does not count', async () => {
  isBetter = () => now >= 600_000
  while (now < 600_000) expect(await round()).toBe('dependency')
  expect(await until('self_wedged')).toBeGreaterThanOrEqual(60)
})

test('a new client that fails once begins the time again', async () => {
  for (let i = 0; i < 8; i++) await round()
  isBetter = () => false
  for (let i = 0; i < 4; i++) await round()
  isBetter = () => true
  expect(await until('self_wedged')).toBeGreaterThanOrEqual(60)
})

test('what the server says to clients that are there is no sign of them', async () => {
  for (let i = 0; i < 40; i++)
    await round({ status: 'fail', code: 'READONLY', cause: 'dependency', observed: { ready: { value: 1 } } })
  expect(made).toBe(0)
})

test('a link that swallows everything is silence too', async () => {
  for (let i = 0; i < 40; i++) await round({ ...ENDED, code: 'timeout', observed: { ready: { value: 1 } } })
  expect(made).toBeGreaterThan(2)
})

test('a new client is ended, whatever becomes of it', async () => {
  const told: string[] = []
  const fresh = (refuses: boolean) => ({
    connect: async () => void told.push('connect'),
    del: async () => void told.push('del'),
    disconnect: () => void told.push('disconnect'),
    on: () => {},
    set: async () => {
      if (refuses) throw new Error('OOM')
    },
  })
  await experiment(() => fresh(false), 'key')
  await expect(experiment(() => fresh(true), 'key')).rejects.toThrow('OOM')
  expect(told).toEqual(['connect', 'del', 'disconnect', 'connect', 'disconnect'])
})
