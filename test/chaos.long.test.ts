import { nodesUnderTest } from '@afterspan/testing'
import { describe, expect, test } from 'vitest'
import { killAtRandom } from './chaos.ts'

describe.each(nodesUnderTest())('on Node $major', (node) => {
  test('1,000 kills at random moments: each task that was promised is accounted for, once', async () => {
    await expect(killAtRandom(1_000, node)).resolves.toBeUndefined()
  }, 7_200_000)
})
