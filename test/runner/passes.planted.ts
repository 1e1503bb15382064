/* oxlint-disable -- planted for test/runner.test.ts */
import { test } from 'vitest'

test('passes', () => {})
