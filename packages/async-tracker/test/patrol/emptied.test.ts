// What a queue that was emptied means for the tasks that seem to wait in it.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import type { QueueEmptied, TaskEvent } from '@afterspan/core/internal'
import { tempDir } from '../../../testing/src/temp-dir.ts'
import { cancelledBy, Emptied } from '../../src/patrol/emptied.ts'
import { readEmptied } from '../../src/patrol/emptied-file.ts'
import { confirmed, ms, sent, spawned, started, succeeded, taskIdOf, WEB, WORKER } from '../sample-events.ts'
import { Desk } from './desk.ts'
import { Stage } from './stage.ts'

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
  const waiting = new Emptied(tempDir('emptied'))
  const ids = { prefix: 'orders/' }
  const events = [
    emptied(3, { ids: { ...ids, below: 2 }, count: 1 }),
    emptied(4, { ids: { ...ids, keep: 1 }, count: 1 }),
  ]
  waiting.note([{ by: WEB, events }], 100)
  for (const [i, id] of [ONE, TWO, THREE].entries())
    await desk.feed(WEB, spawned(1, id), confirmed(2, { ...id, messageId: `orders/${i + 1}` }))
  const gone: (string | false)[] = []
  await waiting.settle(desk.ledger, 10_000, async (batches) => {
    for (const { events: told } of batches) gone.push(...told.map((event) => 'taskId' in event && event.taskId))
  })
  expect(gone).toEqual([ONE.taskId, TWO.taskId])
})

test('a purge is looked into when the journals of others have been read, once, and a run refutes it', async () => {
  const desk = new Desk()
  const waiting = new Emptied(tempDir('emptied'))
  const purge = { by: WEB, events: [emptied(3)] }
  const applied: number[] = []
  const settle = (now: number): Promise<void> =>
    waiting.settle(desk.ledger, now, async (batches) => {
      applied.push(now)
      await desk.feedAll([...batches])
    })
  await desk.feedAll([purge])
  waiting.note([purge], 100)
  await desk.feed(WEB, spawned(1), confirmed(2))
  for (const now of [200, 10_000, 20_000]) await settle(now)
  expect(applied).toEqual([10_000])
  expect((await desk.ledger.find({ limit: 9 })).map(({ derived }) => derived.state)).toEqual(['cancelled'])
  await desk.feed(WORKER, started(2, 1), succeeded(9, 1))
  expect((await desk.ledger.find({ limit: 9 })).map(({ derived }) => derived.state)).toEqual(['succeeded'])
})

describe('a purge that a patrol has read and not come to', () => {
  const states = async ({ ledger }: Stage): Promise<string[]> =>
    (await ledger.find({ limit: 9 })).map(({ derived }) => derived.state)

  test('was forgotten when it ended before', async () => {
    const stage = new Stage()
    stage.write(WEB, spawned(1), confirmed(2), emptied(3))
    await (await stage.patrol()).sweepOnce()
    const next = await stage.patrol()
    await next.sweepOnce()
    expect(await states(stage)).toEqual(['enqueued'])
    await stage.clock.advance(2_000)
    await next.sweepOnce()
    expect(await states(stage)).toEqual(['cancelled'])
    expect(readEmptied(stage.dir)).toEqual([])
  })

  test('is noted before it counts as read, and once, however often it is read', async () => {
    const stage = new Stage()
    stage.write(WEB, spawned(1), confirmed(2), emptied(3))
    const failing = vi.spyOn(stage.ledger, 'commit').mockRejectedValueOnce(new Error('no answer'))
    await expect((await stage.patrol()).sweepOnce()).rejects.toThrow('no answer')
    failing.mockRestore()
    await (await stage.patrol()).sweepOnce()
    expect(readEmptied(stage.dir)).toEqual([{ by: WEB, event: emptied(3) }])
  })

  test('is tried again where the ledger did not take what it cancelled', async () => {
    const stage = new Stage()
    stage.write(WEB, spawned(1), confirmed(2), emptied(3))
    const patrol = await stage.patrol()
    await patrol.sweepOnce()
    await stage.clock.advance(2_000)
    vi.spyOn(stage.ledger, 'commit').mockRejectedValueOnce(new Error('no answer'))
    await expect(patrol.sweepOnce()).rejects.toThrow('no answer')
    await patrol.sweepOnce()
    expect(await states(stage)).toEqual(['cancelled'])
  })

  test.each(['', '{}', '[1,null,{"by":"x"},{"by":"x","event":{"kind":"opened"}}]'])(
    'a file that says %j says nothing',
    (text) => {
      const dir = tempDir('emptied')
      writeFileSync(join(dir, 'emptied.json'), text)
      expect(readEmptied(dir)).toEqual([])
    },
  )
})
