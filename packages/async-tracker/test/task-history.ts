// Histories of one task, as fast-check makes them up: what several processes and the broker say of it, in the order of time.
import fc from 'fast-check'
import {
  cancelled,
  confirmed,
  failed,
  lost,
  ms,
  neverEnqueued,
  OTHER_WORKER,
  released,
  settledCancelled,
  settledFailed,
  settledLost,
  spawned,
  started,
  succeeded,
  TASK,
  WEB,
  WORKER,
  type Told,
} from './sample-events.ts'

/** A history in the order of time, and another order in which its events may be read: that of each process kept. */
export interface History {
  readonly told: readonly Told[]
  readonly asRead: readonly Told[]
}

interface Item {
  readonly told: Told
  /** Cannot happen before this one has. */
  readonly after?: Item | undefined
}

const PRODUCERS: Readonly<Record<string, (web: Chain, patrol: Chain) => void>> = {
  unseen: () => {},
  dies: (web) => web('one', spawned(0)),
  confirms: (web) => web('one', spawned(0), confirmed(0)),
  isDeduplicated: (web) => web('one', spawned(0), cancelled(0, 99, { reason: 'deduplicated' })),
  cannotSend: (web) => web('one', spawned(0), neverEnqueued(0, { evidence: 'own_report' })),
  isLost: (web, patrol) => {
    web('one', spawned(0))
    patrol('one', neverEnqueued(0))
  },
}
const ENDS = {
  none: () => [],
  succeeded: (span: number) => [succeeded(0, span)],
  failed: (span: number) => [failed(0, span)],
  retrying: (span: number) => [failed(0, span, { willRetry: true })],
  released: (span: number) => [released(0, span)],
  cancelled: (span: number) => [cancelled(0, span)],
  handled: (span: number) => [failed(0, span), cancelled(0, span, { reason: 'handled' })],
  beats: (span: number) => [{ kind: 'heartbeat', taskId: TASK, at: ms(0) } as const, succeeded(0, span)],
} as const
const SETTLES = {
  deadLettered: () => settledFailed(0),
  unroutable: () => settledFailed(0, { reason: 'unroutable' }),
  removed: () => settledCancelled(0),
  vanished: () => settledLost(0),
} as const

type Chain = (chain: string, ...events: readonly Told['event'][]) => void

const plan = fc.record({
  producer: fc.constantFrom(...Object.keys(PRODUCERS)),
  attempts: fc.array(
    fc.record({
      by: fc.constantFrom(WORKER, OTHER_WORKER),
      end: fc.constantFrom(...(Object.keys(ENDS) as (keyof typeof ENDS)[])),
      isLost: fc.boolean(),
    }),
    { maxLength: 4 },
  ),
  settles: fc.array(
    fc.record({
      by: fc.constantFrom('broker-1', 'broker-2'),
      how: fc.constantFrom(...(Object.keys(SETTLES) as (keyof typeof SETTLES)[])),
    }),
    { maxLength: 3 },
  ),
  /** A worker that also tells of the broker, without naming an attempt. */
  expiresBy: fc.constantFrom(undefined, undefined, WORKER),
  times: fc.array(fc.nat(1000), { minLength: 40, maxLength: 40 }),
  reads: fc.array(fc.nat(1000), { minLength: 40, maxLength: 40 }),
})

export const history: fc.Arbitrary<History> = plan.map(({ producer, attempts, settles, expiresBy, times, reads }) => {
  const items: Item[] = []
  const lastOf = new Map<string, Item>()
  const add = (by: string, chain: string, events: readonly Told['event'][], first?: Item): void => {
    for (const event of events) {
      const item = { told: { by, event }, after: lastOf.get(chain) ?? first }
      items.push(item)
      lastOf.set(chain, item)
    }
  }
  PRODUCERS[producer]!(
    (chain, ...events) => add(WEB, `web ${chain}`, events),
    (chain, ...events) => add('patrol', `patrol ${chain}`, events, lastOf.get('web one')),
  )
  for (const [i, { by, end, isLost }] of attempts.entries()) {
    add(by, `attempt ${i}`, [started(0, i)])
    if (isLost) add('patrol', `lost ${i}`, [lost(0, i)], lastOf.get(`attempt ${i}`))
    add(by, `attempt ${i}`, ENDS[end](i))
  }
  for (const [i, { by, how }] of settles.entries()) add(by, `settle ${i}`, [SETTLES[how]()])
  if (expiresBy) add(expiresBy, 'expires', [settledFailed(0, { reason: 'expired' })])
  const told = inSomeOrder(items, times).map(({ told: { by, event } }, i) => ({
    by,
    event: { ...event, at: ms(10 * (i + 1)) },
  }))
  return { told, asRead: inSomeOrder(readable(told), reads).map((item) => item.told) }
})

/** What is read later than what: the earlier events of the same process; and the patrol has read of an attempt before it calls it lost. */
function readable(history: readonly Told[]): Item[] {
  const lastOf = new Map<string, Item>()
  const made: Item[] = []
  for (const told of history) {
    const { event, by } = told
    const starts = (item: Item): boolean =>
      item.told.event.kind === 'started' && spanOf(item.told.event) === spanOf(event)
    const first = event.kind === 'lost' && by === 'patrol' ? made.find(starts) : undefined
    const item = { told, after: first ?? (by === 'patrol' ? undefined : lastOf.get(by)) }
    made.push(item)
    lastOf.set(by, item)
  }
  return made
}

function spanOf(event: Told['event']): string | undefined {
  return 'spanId' in event ? event.spanId : undefined
}

/** An order in which nothing comes before what it comes after; which one is up to the picks. */
function inSomeOrder(items: readonly Item[], picks: readonly number[]): Item[] {
  const left = [...items]
  const done = new Set<Item>()
  const order: Item[] = []
  for (const pick of picks) {
    const ready = left.filter(({ after }) => !after || done.has(after))
    const next = ready[pick % ready.length]
    if (!next) break
    left.splice(left.indexOf(next), 1)
    done.add(next)
    order.push(next)
  }
  return order
}
