import type { AdminHandler, AdminReply } from '@afterspan/core/internal'
import { beforeEach, describe, expect, test } from 'vitest'
import { mountRoutes } from '../src/routes.ts'
import type { HealthSnapshot } from '../src/snapshot.ts'
import { checkState, snapshotOf, unanswered } from './check-state.ts'
import { fakeTime, type FakeTime } from './fake-time.ts'

let time: FakeTime
let silentMs: number
let take: (snapshot: HealthSnapshot) => void
let routes: Map<string, AdminHandler>

beforeEach(() => {
  time = fakeTime()
  silentMs = 0
  routes = new Map()
  take = mountRoutes(
    { route: (path, handle) => routes.set(path, handle), clock: time.clock, mainSilentMs: () => silentMs },
    { serviceName: 'shop', everyMs: 2000, stallMs: 30_000 },
  )
})

function ask(
  target: string,
  given: { readonly trusted?: boolean; readonly accept?: string } = {},
): { status: number; body: string; type: string | undefined } {
  const { pathname: path, searchParams: query } = new URL(target, 'http://admin')
  const handle =
    routes.get(path) ?? [...routes].find(([prefix]) => prefix.endsWith('/') && path.startsWith(prefix))?.[1]
  const reply = handle!({
    method: 'GET',
    path,
    query,
    headers: { accept: given.accept },
    trusted: given.trusted ?? false,
  }) as AdminReply
  return {
    status: reply.status,
    body: Buffer.from(reply.body as Uint8Array).toString(),
    type: reply.headers?.['content-type'],
  }
}

const broken = checkState({ name: 'db', status: 'fail', code: 'timeout', reason: 'no answer within 1500 ms' })
const fine = checkState({ name: 'cache' })

describe('/readyz and /health', () => {
  test('are starting until the main thread has spoken', () => {
    expect(ask('/readyz')).toMatchObject({ status: 503 })
    expect(ask('/readyz').body).toContain('[-]starting failed')
    expect(ask('/health')).toMatchObject({ status: 503, type: 'application/health+json; charset=utf-8' })
    expect(ask('/startupz')).toMatchObject({ status: 503 })
  })

  test('follow each snapshot', () => {
    take(snapshotOf([fine]))
    expect(ask('/readyz')).toEqual({ status: 200, body: 'ok', type: 'text/plain; charset=utf-8' })
    take(snapshotOf([fine, broken]))
    expect(ask('/readyz').status).toBe(503)
    expect(ask('/health').status).toBe(503)
    expect(ask('/readyz', { trusted: true }).body).toContain('no answer within 1500 ms')
    expect(ask('/readyz').body).not.toContain('no answer')
    take(snapshotOf([fine]))
    expect(ask('/readyz').status).toBe(200)
  })

  test('exclude by a list, by several, and say what there is not to exclude', () => {
    take(snapshotOf([fine, broken, checkState({ name: 'queue', status: 'fail' })]))
    expect(ask('/readyz?exclude=db,queue').status).toBe(200)
    expect(ask('/readyz?exclude=db&exclude=queue').status).toBe(200)
    expect(ask('/readyz?exclude=db').status).toBe(503)
    expect(ask('/readyz?exclude=nothing').body).toContain('cannot be excluded')
    expect(ask('/readyz?exclude=db,queue&verbose').body).toContain('[+]db excluded: ok')
  })

  test('one check by its name', () => {
    take(snapshotOf([fine, broken, unanswered({ name: 'queue' })]))
    expect(ask('/readyz/cache')).toMatchObject({ status: 200, body: 'ok' })
    expect(ask('/readyz/db')).toMatchObject({ status: 503, body: '[-]db failed: reason withheld\n' })
    expect(ask('/readyz/db', { trusted: true }).body).toBe('[-]db failed: timeout: no answer within 1500 ms\n')
    expect(JSON.parse(ask('/readyz/db', { accept: 'application/json' }).body)).toEqual({
      status: 'fail',
      checks: { 'db:responseTime': [{ status: 'fail', code: 'timeout' }] },
    })
    expect(ask('/readyz/queue')).toMatchObject({ status: 503, body: '[-]queue failed: pending\n' })
    expect(ask('/readyz/nobody').status).toBe(404)
    expect(ask('/readyz/').status).toBe(404)
  })

  test('the same question twice is answered from the same bytes', () => {
    take(snapshotOf([fine, broken]))
    const handle = routes.get('/readyz')!
    const request = {
      method: 'GET',
      path: '/readyz',
      query: new URLSearchParams(),
      headers: {},
      trusted: false,
    } as const
    expect(handle(request)).toBe(handle(request))
  })

  test('strange questions do not fill the memory', () => {
    take(snapshotOf(Array.from({ length: 20 }, (_, i) => checkState({ name: `c${i}` }))))
    const handle = routes.get('/readyz')!
    const question = (n: number) =>
      ({
        method: 'GET',
        path: '/readyz',
        query: new URLSearchParams({
          exclude: Array.from({ length: 20 }, (_, i) => ((n >> i) & 1 ? `c${i}` : 'x')).join(),
        }),
        headers: {},
        trusted: false,
      }) as const
    for (let n = 0; n < 1000; n++) void handle(question(n))
    expect(handle(question(1))).toBe(handle(question(1)))
    expect(handle(question(999))).not.toBe(handle(question(999)))
  })
})

describe('a main thread that is blocked', () => {
  test('makes /readyz stale after three intervals, and leaves /livez alone', async () => {
    take(snapshotOf([fine]))
    await time.advance(6000)
    expect(ask('/readyz').status).toBe(200)
    await time.advance(1)
    expect(ask('/readyz')).toMatchObject({ status: 503 })
    expect(ask('/readyz').body).toContain('[-]stale failed')
    expect(JSON.parse(ask('/health').body)).toMatchObject({ status: 'fail', code: 'stale' })
    expect(ask('/readyz/cache').status).toBe(503)
    expect(ask('/livez')).toMatchObject({ status: 200, body: 'ok' })
    expect(ask('/startupz').status).toBe(200)
    take(snapshotOf([fine]))
    expect(ask('/readyz').status).toBe(200)
  })

  test('without checks it is the silence that counts', async () => {
    take(snapshotOf([]))
    await time.advance(60_000)
    expect(ask('/readyz').status).toBe(200)
    silentMs = 6001
    expect(ask('/readyz').status).toBe(503)
  })

  test('a short interval does not make a pause of the collector an outage', async () => {
    take({ ...snapshotOf([fine]), everyMs: 100 })
    await time.advance(3000)
    expect(ask('/readyz').status).toBe(200)
    await time.advance(1)
    expect(ask('/readyz').status).toBe(503)
  })

  test('turns /livez only after the threshold, and says for how long it has been silent', () => {
    silentMs = 30_000
    expect(ask('/livez').status).toBe(200)
    silentMs = 30_001
    expect(ask('/livez')).toMatchObject({ status: 503 })
    expect(ask('/livez').body).toContain('silent for 30001 ms')
    expect(JSON.parse(ask('/livez', { accept: 'application/json', trusted: true }).body)).toEqual({
      status: 'fail',
      checks: { 'main-thread:silence': [{ status: 'fail', observedValue: 30_001, observedUnit: 'ms' }] },
    })
  })
})

test('/livez does not ask whether anything else works', () => {
  take(snapshotOf([broken]))
  expect(ask('/livez')).toMatchObject({ status: 200, body: 'ok' })
  expect(ask('/livez?verbose').body).toBe('[+]main-thread ok\nlivez check passed\n')
})

describe('groups', () => {
  const orders = checkState({ name: 'orders-db', status: 'fail', code: 'timeout', groups: ['orders'] })
  const mails = checkState({ name: 'mails', groups: ['mails', 'outside'] })

  test('are judged by their own checks alone', () => {
    take(snapshotOf([orders, mails]))
    expect(ask('/readyz').status).toBe(503)
    expect(ask('/readyz/mails')).toMatchObject({ status: 200, body: 'ok' })
    expect(ask('/readyz/outside').body).toBe('ok')
    expect(ask('/readyz/orders').status).toBe(503)
    expect(ask('/readyz/orders?verbose').body).not.toContain('mails')
    expect(ask('/health/orders')).toMatchObject({ status: 503, type: 'application/health+json; charset=utf-8' })
    expect(JSON.parse(ask('/health/mails').body)).toMatchObject({
      status: 'pass',
      checks: { 'mails:responseTime': [{}] },
    })
    expect(ask('/readyz/others').status).toBe(404)
  })

  test('a group that has the name of a check is the check', () => {
    take(snapshotOf([orders, checkState({ name: 'orders' })]))
    expect(ask('/readyz/orders').body).toBe('ok')
  })

  test('/health tells one check too', () => {
    take(snapshotOf([orders]))
    expect(JSON.parse(ask('/health/orders-db').body)).toMatchObject({ status: 'fail' })
  })
})

describe('/livez and a fault of this process that a restart mends', () => {
  const dead = checkState({
    name: 'db',
    status: 'fail',
    code: 'pool_dead',
    cause: 'self_wedged',
    reason: 'the pool has given nothing',
    required: false,
  })

  test('is 503 while such a check fails, and says which; why, to those who may know', () => {
    take(snapshotOf([fine, dead]))
    expect(ask('/livez')).toMatchObject({
      status: 503,
      body: '[+]main-thread ok\n[-]db failed: reason withheld\nlivez check failed\n',
    })
    expect(ask('/livez', { trusted: true }).body).toContain('[-]db failed: pool_dead: the pool has given nothing\n')
    const json = (trusted: boolean): unknown => JSON.parse(ask('/livez', { accept: 'application/json', trusted }).body)
    const told = { 'db:wedged': [{ status: 'fail', code: 'pool_dead' }] }
    expect(json(false)).toEqual({ status: 'fail', checks: { 'main-thread:silence': [{ status: 'pass' }], ...told } })
    expect(json(true)).toMatchObject({ checks: { 'db:wedged': [{ output: 'the pool has given nothing' }] } })
    take(snapshotOf([fine]))
    expect(ask('/livez')).toMatchObject({ status: 200, body: 'ok' })
  })

  test('is 200 for every other cause, for what only warns, and while the process leaves', () => {
    const { cause: _, ...causeless } = dead
    take(
      snapshotOf([
        causeless,
        { ...dead, name: 'a', cause: 'dependency' },
        { ...dead, name: 'b', cause: 'self_recoverable' },
        { ...dead, name: 'c', status: 'warn' },
      ]),
    )
    expect(ask('/livez').status).toBe(200)
    take({ ...snapshotOf([dead]), draining: true })
    expect(ask('/livez').status).toBe(200)
  })
})
