import { expect, test } from 'vitest'
import { ownersOf } from '../src/task-owner.ts'
import { deriveState } from '../src/task-state.ts'
import {
  confirmed,
  factsOf,
  lost,
  OTHER_WORKER,
  spawned,
  started,
  succeeded,
  tell,
  WEB,
  WORKER,
  type Told,
} from './sample-events.ts'

const SENT = tell(WEB, spawned(1), confirmed(2))

function owners(...told: readonly Told[]): readonly string[] {
  const facts = factsOf(told)
  return ownersOf(facts, deriveState(facts).state)
}

test('who sends a task has it, then the broker, then who runs it', () => {
  expect(owners(...tell(WEB, spawned(1)))).toEqual([WEB])
  expect(owners(...SENT)).toEqual([])
  const running = [...SENT, ...tell(WORKER, started(3, 1))]
  expect(owners(...running)).toEqual([WORKER])
  expect(owners(...running, ...tell(OTHER_WORKER, started(4, 2)))).toEqual([WORKER, OTHER_WORKER])
  expect(owners(...running, ...tell(WORKER, succeeded(4, 1)))).toEqual([])
})

test('a killed run whose message was done by another before the death was proven stood as running for ever', () => {
  const told = [...SENT, ...tell(WORKER, started(3, 1)), ...tell(OTHER_WORKER, started(4, 2), succeeded(5, 2))]
  expect(owners(...told)).toEqual([WORKER])
  const proven = [...told, ...tell('patrol', lost(6, 1))]
  expect(owners(...proven)).toEqual([])
  expect(deriveState(factsOf(proven))).toMatchObject({ state: 'succeeded', recovered: true, duplicate: false })
})
