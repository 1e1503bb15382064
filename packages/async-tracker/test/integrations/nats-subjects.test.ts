import { expect, test } from 'vitest'
import { destinationOf, isReserved } from '../../src/integrations/nats/subjects.ts'
import { matches } from '../../src/subject-pattern.ts'

test.for([
  ['orders.created', 'orders.created'],
  ['orders.v2.created', 'orders.v2.created'],
  ['orders.87312.created', 'orders.*.created'],
  ['orders.7', 'orders.*'],
  ['orders.2026-11-25.created', 'orders.*.created'],
  ['user.0f8fad5b-d9cb-469f-a165-70867728950e', 'user.*'],
  [`jobs.${'x'.repeat(41)}`, 'jobs.*'],
] as const)('the subject %s is the destination %s', ([subject, expected]) => {
  expect(destinationOf(subject)).toBe(expected)
})

test.for([
  ['$KV.bucket.key', true],
  ['$JS.hub.API.$KV.bucket.key', true],
  ['$O.store.C.x', true],
  ['_INBOX.x', true],
  ['orders.$', false],
] as const)('%s is kept by NATS for itself: %s', ([subject, expected]) => {
  expect(isReserved(subject)).toBe(expected)
})

test.for([
  ['orders.created', 'orders.created', true],
  ['orders.*', 'orders.created', true],
  ['orders.*', 'orders.created.now', false],
  ['orders.*.now', 'orders.created.now', true],
  ['orders.>', 'orders.created.now', true],
  ['orders.>', 'orders', false],
  ['orders.created.now', 'orders.created', false],
  ['>', 'orders', true],
] as const)('the subject %s of a stream and %s', ([pattern, subject, expected]) => {
  expect(matches(pattern, subject)).toBe(expected)
})
