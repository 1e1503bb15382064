import { expect, test } from 'vitest'
import { probeConformance } from '../probe-conformance.ts'
import { postgresJsHook } from '../../src/probes/postgres-js.ts'
import type { FoundProbe } from '../../src/registry.ts'

type Reply = (text: string) => Promise<readonly (readonly unknown[])[]>
const found: FoundProbe[] = []
let now = 0
/** The probe itself does not keep them. */
const kept: unknown[] = []
const hook = postgresJsHook(
  (probe) => found.push(probe),
  { monotonicMs: () => now },
  () => {},
)

/** A statement as postgres.js has it: sent when somebody wants its result. */
class Query {
  state: unknown = null
  cancelled = false
  readonly handler: (query: Query) => Promise<unknown>
  readonly text: string
  constructor(handler: Query['handler'], text: string) {
    this.handler = handler
    this.text = text
  }
  handle(): Promise<unknown> {
    return this.handler(this)
  }
  values(): this {
    return this
  }
  cancel(): void {
    this.cancelled = true
  }
  // oxlint-disable unicorn/no-thenable, promise/no-callback-in-promise -- as the library's own
  then(done: (rows: unknown) => unknown, failed: (error: unknown) => unknown): Promise<unknown> {
    return this.handle().then(done, failed)
  }
}

/** A pool that has sent one statement already. */
function probeOf(reply: Reply, isTaken = true): { probe: FoundProbe; queries: Query[] } {
  const queries: Query[] = []
  const postgres = hook.patch(
    () => {
      const handler = (query: Query): Promise<unknown> => {
        queries.push(query)
        if (isTaken) query.state = {}
        return reply(query.text)
      }
      const sql = { options: { host: ['db.internal'], max: 1 }, unsafe: (text: string) => new Query(handler, text) }
      return Object.assign(sql, { begin: async () => {}, end: async () => {} })
    },
    { version: '3.4.9', format: 'commonjs' },
  ) as () => { unsafe(text: string): Query; end(): Promise<void> }
  const sql = postgres()
  kept.push(sql)
  void sql.unsafe('select 1').then(
    () => {},
    () => {},
  )
  return { probe: found.at(-1)!, queries }
}

/** What it says when its deadline passes. */
function given(probe: FoundProbe): Promise<unknown> {
  const controller = new AbortController()
  const answer = probe.check(controller.signal)
  controller.abort()
  return answer
}

const forever: Reply = () => new Promise(() => {})
const writable: Reply = async () => [['false', 'off']]

test('nothing is cancelled: a connection that is being made for it would never be finished', async () => {
  for (const isTaken of [true, false]) {
    const { probe, queries } = probeOf(forever, isTaken)
    for (let i = 0; i < 2; i++) expect(await given(probe)).toMatchObject({ status: 'fail', code: 'timeout' })
    expect(queries.slice(1).map(({ cancelled }) => cancelled)).toEqual([false])
  }
})

test('what a dead connection does not answer is asked again of another one, three times at most', async () => {
  let reply = forever
  const { probe, queries } = probeOf((text) => reply(text))
  for (let i = 0; i < 6; i++) {
    expect(await given(probe)).toMatchObject({ status: 'fail', code: 'timeout' })
    now += 4000
  }
  expect(queries).toHaveLength(1 + 3)

  reply = forever
  const other = probeOf((text) => reply(text)).probe
  await given(other)
  now += 5000
  reply = writable
  expect(await other.check(new AbortController().signal)).toMatchObject({ status: 'warn', code: 'connection_lost' })
})

test('a server that is not PostgreSQL is asked a simpler question from then on', async () => {
  const { probe, queries } = probeOf(async (text) => {
    if (text.includes('recovery')) throw Object.assign(new Error('unknown function'), { code: '42883' })
    return [[1]]
  })
  const { signal } = new AbortController()
  expect([(await probe.check(signal)).status, (await probe.check(signal)).status]).toEqual(['pass', 'pass'])
  expect(queries.at(-1)!.text).toBe('select 1 as answer')
})

test('a connection that the app left in a broken transaction is a warning', async () => {
  const { probe } = probeOf(async () => {
    throw Object.assign(new Error('current transaction is aborted'), { code: '25P02' })
  })
  const { signal } = new AbortController()
  expect(await probe.check(signal)).toMatchObject({ status: 'warn', code: '25P02', cause: 'self_recoverable' })
})

probeConformance('postgres.js', {
  well: () => probeOf(writable).probe,
  sick: () =>
    probeOf(async () => {
      throw Object.assign(new Error('write CONNECTION_CLOSED db.internal:5432'), { code: 'CONNECTION_CLOSED' })
    }).probe,
  silent: () => probeOf(forever).probe,
  secrets: ['db.internal', '5432'],
})
