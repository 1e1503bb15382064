// What a queue that was emptied means for the tasks that seem to wait in it.
import { describe, expect, test } from 'vitest'
import type { QueueEmptied, TaskEvent } from '@afterspan/core/internal'
import { cancelledBy, Emptied } from '../../src/patrol/emptied.ts'
import { confirmed, ms, sent, spawned, started, succeeded, taskIdOf, WEB, WORKER } from '../sample-events.ts'
import { Desk } from './desk.ts'

const QUEUE = { system: 'bullmq', destination: 'fulfil' }
const [ONE, TWO, THREE] = [0, 1, 2].map((n) => ({ taskId: taskIdOf(n) })) as [Id, Id, Id]
type Id = { readonly taskId: TaskEvent['taskId'] }

const emptied = (at: number, more: Partial<QueueEmptied> = {}): QueueEmptied => ({
  kind: 'emptied',
  at: ms(at),
  ...QUEUE,
  ...more,
})
async function cancelled(event: QueueEmptied, ...told: readonly TaskEvent[]): Promise<string[]> {
  const desk = new Desk()
  await desk.feed(WEB, ...told)
  const open = await desk.ledger.find({ states: ['pending', 'enqueued'], limit: 100 })
  return cancelledBy(event, open)
    .map(({ taskId }) => taskId)
    .sort()
}

describe('a queue that was emptied has cancelled', () => {
  test('what had been sent there by then, with or without an answer, and nothing that came later', async () => {
    const told = [spawned(1, ONE), confirmed(2, ONE), spawned(1, TWO), { ...sent(3), ...TWO }, spawned(1, THREE)]
    expect(await cancelled(emptied(3), ...told)).toEqual([ONE.taskId, TWO.taskId])
    expect(await cancelled(emptied(2), ...told)).toEqual([ONE.taskId])
    expect(await cancelled(emptied(3), ...told, confirmed(4, THREE))).toEqual([ONE.taskId, TWO.taskId])
  })
  test('nothing of other queues and systems, and nothing that somebody has begun', async () => {
    const told = [spawned(1), confirmed(2)]
    expect(await cancelled(emptied(3, { destination: 'mail' }), ...told)).toEqual([])
    expect(await cancelled(emptied(3, { system: 'rabbitmq' }), ...told)).toEqual([])
    expect(await cancelled(emptied(3), ...told, started(2, 1))).toEqual([])
  })
  test('nothing where the broker took fewer than seem to wait: nobody knows which', async () => {
    const told = [ONE, TWO].flatMap((id) => [spawned(1, id), confirmed(2, id)])
    expect(await cancelled(emptied(3, { count: 1 }), ...told)).toEqual([])
    expect(await cancelled(emptied(3, { count: 2 }), ...told)).toHaveLength(2)
    expect(await cancelled(emptied(3, { count: 9 }), ...told)).toHaveLength(2)
  })
  test('of a stream what its ids name', async () => {
    const told = [ONE, TWO, THREE].flatMap((id, i) => [
      spawned(1, id),
      confirmed(2, { ...id, messageId: `orders/${i + 9}` }),
    ])
    const of = (ids: object): Promise<string[]> => {
      const { destination: _, ...rest } = emptied(3, { ids: { prefix: 'orders/', ...ids } })
      return cancelled(rest, ...told)
    }
    expect(await of({})).toHaveLength(3)
    expect(await of({ below: 10 })).toEqual([ONE.taskId])
    expect(await of({ from: 10, below: 11 })).toEqual([TWO.taskId])
    expect(await of({ prefix: 'order/' })).toEqual([])
    expect(await of({ keep: 2 })).toEqual([ONE.taskId])
    expect(await of({ keep: 3 })).toEqual([])
    expect(await of({ subject: 'ord*' })).toEqual([])
    expect(await of({ subject: '*' })).toHaveLength(3)
    expect(await of({ subject: 'order', below: 11, keep: 1 })).toEqual([ONE.taskId])
  })
})

test('of two purges at once the second counted what the first had taken, and cancelled nothing', async () => {
  const desk = new Desk()
  const waiting = new Emptied()
  const ids = { prefix: 'orders/' }
  const events = [
    emptied(3, { ids: { ...ids, below: 2 }, count: 1 }),
    emptied(4, { ids: { ...ids, keep: 1 }, count: 1 }),
  ]
  waiting.note([{ by: WEB, events }], 100)
  for (const [i, id] of [ONE, TWO, THREE].entries())
    await desk.feed(WEB, spawned(1, id), confirmed(2, { ...id, messageId: `orders/${i + 1}` }))
  const batches = await waiting.cancelled(desk.ledger, 10_000)
  expect(batches.flatMap(({ events: told }) => told.map((event) => 'taskId' in event && event.taskId))).toEqual([
    ONE.taskId,
    TWO.taskId,
  ])
})

test('a purge is looked into when the journals of others have been read, once, and a run refutes it', async () => {
  const desk = new Desk()
  const waiting = new Emptied()
  const purge = { by: WEB, events: [emptied(3)] }
  await desk.feedAll([purge])
  waiting.note([purge], 100)
  await desk.feed(WEB, spawned(1), confirmed(2))
  expect(await waiting.cancelled(desk.ledger, 200)).toEqual([])
  const batches = await waiting.cancelled(desk.ledger, 10_000)
  expect(await waiting.cancelled(desk.ledger, 20_000)).toEqual([])
  await desk.feedAll(batches)
  expect((await desk.ledger.find({ limit: 9 })).map(({ derived }) => derived.state)).toEqual(['cancelled'])
  await desk.feed(WORKER, started(2, 1), succeeded(9, 1))
  expect((await desk.ledger.find({ limit: 9 })).map(({ derived }) => derived.state)).toEqual(['succeeded'])
})
