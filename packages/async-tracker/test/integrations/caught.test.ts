// A framework between the client and the app's handler: what a run fails with, and what the client gets.
import { context } from '@opentelemetry/api'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { AsyncContextManager } from '../../../core/src/sdk/context-manager.ts'
import { activeCaught, attemptThrown } from '../../src/integrations/running/caught.ts'
import { createFakeKit } from './fake-kit.ts'

beforeAll(() => context.setGlobalContextManager(new AsyncContextManager()))
afterAll(() => {
  context.disable()
})

const thrown = new RangeError('no address')
const info = { system: 'kafka', destination: 'orders', name: 'orders', attempt: 0 }

/** What the client gets, and what the run failed with. */
async function outcomes(given: unknown): Promise<readonly unknown[]> {
  const { kit, runs } = createFakeKit()
  const handle = async (): Promise<never> => {
    await Promise.resolve()
    activeCaught()!.thrown = { error: thrown }
    throw given
  }
  const carrier = { get: () => undefined, set: () => {} }
  const got = await (attemptThrown(kit, info, carrier, handle) as Promise<never>).catch((error: unknown) => error)
  return [got, runs[0]!.error]
}

test('a run failed with the answer that a framework had made of the error: an object, Internal server error', async () => {
  const answer = { status: 'error', message: 'Internal server error' }
  expect(await outcomes(answer)).toEqual([answer, thrown])
  const other = new TypeError('what a filter of the app made of it')
  expect(await outcomes(other)).toEqual([other, other])
})
