import { expect, test } from 'vitest'
import type { Incident, OtlpReply } from '@afterspan/core/internal'
import { createWebhook } from '../../src/report/webhook.ts'
import { ms, requestRef, taskIdOf } from '../sample-events.ts'
import { DOWN, OK } from '../patrol/stage.ts'

function setUp() {
  const world: { reply: OtlpReply; posts: { incidents: Record<string, unknown>[] }[]; failures: string[] } = {
    reply: OK,
    posts: [],
    failures: [],
  }
  const webhook = createWebhook({
    url: 'http://operator/hook',
    onFailure: (reason) => world.failures.push(reason),
    post: async (_, body) => {
      world.posts.push(JSON.parse(Buffer.from(body).toString()) as (typeof world.posts)[0])
      return world.reply
    },
  })
  return { webhook, world }
}
function failed(n: number, more: Partial<Incident> = {}): Incident {
  const failure = { type: 'RangeError', message: `no ${n}` }
  return {
    kind: 'task_failed',
    at: ms(n),
    trace: requestRef(n),
    taskId: taskIdOf(n),
    route: '/orders',
    failure,
    ...more,
  }
}

test('many of one kind are one line, with the number of them and the ids of the newest', async () => {
  const { webhook, world } = setUp()
  webhook.add([failed(1), failed(3), failed(2), failed(4, { kind: 'task_lost' })])
  await webhook.round(0)
  expect(world.posts).toMatchObject([
    {
      source: 'afterspan',
      incidents: [
        { kind: 'task_failed', type: 'RangeError', message: 'no 3', route: '/orders', count: 3, firstAt: 1, lastAt: 3 },
        { kind: 'task_lost', count: 1, traceId: requestRef(4).traceId, taskId: taskIdOf(4) },
      ],
    },
  ])
  expect(world.posts[0]!.incidents[0]).toMatchObject({ traceId: requestRef(3).traceId, taskId: taskIdOf(3) })
  expect(webhook.totals).toEqual({ sent: 4, dropped: 0 })
})

test('there are five seconds between two posts, and none without news', async () => {
  const { webhook, world } = setUp()
  for (let now = 0; now <= 20_000; now += 250) {
    if (now <= 10_000) webhook.add([failed(now)])
    await webhook.round(now)
  }
  expect(world.posts.map(({ incidents }) => incidents[0]!['count'])).toEqual([1, 20, 20])
})

test('what cannot be told is tried three times, then dropped and counted; each incident is told once at most', async () => {
  const { webhook, world } = setUp()
  world.reply = DOWN
  webhook.add([failed(1)])
  for (let now = 0; now <= 100_000; now += 1_000) await webhook.round(now)
  expect(world.posts).toHaveLength(3)
  expect(world.failures).toEqual(['ECONNREFUSED', 'ECONNREFUSED', 'ECONNREFUSED'])
  expect(webhook.totals).toEqual({ sent: 0, dropped: 1 })
})

test('kinds without end have no room without end', async () => {
  const { webhook, world } = setUp()
  for (let n = 0; n < 80; n++) webhook.add([failed(n, { route: `/${n}` })])
  await webhook.round(0)
  expect(world.posts[0]!.incidents).toHaveLength(50)
  expect(webhook.totals).toEqual({ sent: 50, dropped: 30 })
})

test('a service that answers with a page was told', async () => {
  const { webhook, world } = setUp()
  world.reply = { ok: false, retryable: true, reason: 'not_otlp' }
  webhook.add([failed(1)])
  await webhook.round(0)
  expect(webhook.totals).toEqual({ sent: 1, dropped: 0 })
})
