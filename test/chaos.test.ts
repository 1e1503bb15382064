import { nodesUnderTest } from '@afterspan/testing'
import { describe, expect, test } from 'vitest'
import { killAtRandom } from './chaos.ts'

describe.each(nodesUnderTest().slice(-1))('on Node $major', (node) => {
  test('20 kills at random moments: each task that was promised is accounted for, once', async () => {
    await expect(killAtRandom(20, node)).resolves.toBeUndefined()
  }, 240_000)
})
