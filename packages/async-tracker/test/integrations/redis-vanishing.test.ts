// What is told of entries that wait, by what Redis says of their stream.
import type { TaskId } from '@afterspan/core/internal'
import { expect, test } from 'vitest'
import type { Asking, StreamState } from '../../src/integrations/redis-streams/asking.ts'
import { NotDelivered } from '../../src/integrations/redis-streams/not-delivered.ts'
import { createVanishing } from '../../src/integrations/redis-streams/vanishing.ts'
import { createFakeKit } from './fake-kit.ts'

type Answer = StreamState | 'gone' | Error
const task = (id: string): TaskId => `task of ${id}` as TaskId
const waits: StreamState = { first: '1-0', newest: '3-0', delivered: '0-0' }

/** A stream to which 1-0, 2-0 and 3-0 were added, and what is answered of it, look by look, the last one again and again. */
async function lostBy(...answers: readonly [Answer, ...Answer[]]): Promise<{ lost: string[]; left: string[] }> {
  const fake = createFakeKit()
  const { promise: isOver, resolve: enough } = Promise.withResolvers<void>()
  const waiting = new (class extends NotDelivered {
    override remove(...args: Parameters<NotDelivered['remove']>): void {
      super.remove(...args)
      // Nothing is left to look for, and nothing more is asked.
      if (this.isEmpty)
        setImmediate(() => {
          enough()
        })
    }
  })()
  let count = 0
  const stateOf: Asking['stateOf'] = async () => {
    const answer = answers[Math.min(count++, answers.length - 1)]!
    if (count === answers.length + 3) enough()
    if (answer instanceof Error) throw answer
    return answer === 'gone' ? undefined : answer
  }
  const vanishing = createVanishing(
    { asking: { stateOf } as Asking, kit: fake.kit, waiting },
    { soonMs: 1, restMs: 0, againMs: 1 },
  )
  const client = {}
  for (const id of ['1-0', '2-0', '3-0']) {
    waiting.add({ stream: 'orders', id }, task(id))
    vanishing.sent(client, { stream: 'orders', id })
  }
  await isOver
  for (const settled of fake.settled) expect(settled).toMatchObject({ event: 'lost', reason: 'vanished_from_broker' })
  return {
    lost: fake.settled.map(({ taskId }) => taskId.replace('task of ', '')),
    left: [...(waiting.of('orders')?.keys() ?? [])],
  }
}

test('entries that wait are not lost', async () => {
  expect(await lostBy(waits)).toEqual({ lost: [], left: ['1-0', '2-0', '3-0'] })
})
test('stayed enqueued for ever when the data of Redis were gone', async () => {
  expect(await lostBy(waits, 'gone')).toEqual({ lost: ['1-0', '2-0', '3-0'], left: [] })
})
test('stayed enqueued for ever when Redis came back with an older state, without them', async () => {
  expect(await lostBy(waits, { ...waits, newest: '1-0' })).toEqual({ lost: ['2-0', '3-0'], left: ['1-0'] })
})
test('stayed enqueued for ever where the stream was made anew, without its group', async () => {
  const anew: StreamState = { first: '9-0', newest: '9-0', delivered: undefined }
  expect(await lostBy(waits, anew)).toEqual({ lost: ['1-0', '2-0', '3-0'], left: [] })
})
test('stayed enqueued for ever where another process had cut the stream', async () => {
  expect(await lostBy({ ...waits, first: '3-0', delivered: '1-0' })).toEqual({ lost: ['2-0'], left: ['3-0'] })
})
test('what a group has got is left to whoever has it', async () => {
  const lost = await lostBy({ ...waits, delivered: '2-0' }, 'gone')
  expect(lost).toEqual({ lost: ['3-0'], left: [] })
})
test('what no look had seen waiting is not told of', async () => {
  expect(await lostBy('gone')).toEqual({ lost: [], left: [] })
})
test('a replica that is behind for a moment tells of no loss', async () => {
  expect(await lostBy(waits, 'gone', waits)).toEqual({ lost: [], left: ['1-0', '2-0', '3-0'] })
})
test('a connection that is gone tells of no loss', async () => {
  expect(await lostBy(waits, new Error('Connection is closed.'))).toEqual({ lost: [], left: ['1-0', '2-0', '3-0'] })
})
