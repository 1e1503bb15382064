import type { Clock, ModuleHook, ProbeResult } from '@afterspan/core/internal'
import { KnownClients } from '../known-clients.ts'
import { madeBy } from '../made-at.ts'
import type { FoundProbe } from '../registry.ts'
import { namesReplica } from '../replica.ts'
import { untilAborted } from '../until-aborted.ts'
import { heldObserved } from './pool-tickets.ts'
import { postgresqlClientHook } from './postgresql-client.ts'
import { experiment } from './postgresql-control.ts'
import { LONG_WAIT_MS } from './pool-control.ts'
import {
  judgeRefusal,
  judgeServer,
  refusal,
  sick,
  type Observed,
  type PostgresqlServer,
} from './postgresql-judgement.ts'
import { PoolWatch } from './postgresql-pool.ts'
import type { PgClient, PgPool } from './postgresql-pooled-client.ts'
import {
  areSlotsScarce,
  QUESTION,
  sentinelQuestion,
  SLOTS_QUESTION,
  slotsIn,
  slotsObserved,
  type Row,
  type Slots,
} from './postgresql-questions.ts'

export interface PostgresqlSettings {
  /** How long a pool must have given nothing until it is asked whether a restart would help. */
  readonly deadMs: number
  readonly timeoutMs: number
  /** The app's own sentinel statement; '' for none. */
  readonly statement: string
}
type PoolConstructor = new (...args: never[]) => PgPool
type Add = (probe: FoundProbe, madeAt: string | undefined) => unknown

/** Slots of the server change slowly, and are asked of every instance of the app. */
const SLOTS_EVERY_MS = 10_000
const OWN_FRAMES = /[\\/]node_modules[\\/](?:pg|pg-pool|pg-native|pg-cursor)[\\/]/

/** Of the pools, and of the clients that no pool has. */
export function postgresqlHooks(
  add: Add,
  clock: Pick<Clock, 'monotonicMs'>,
  onRejected: (why: string) => void,
  settings: PostgresqlSettings,
): readonly ModuleHook[] {
  return [
    postgresqlHook(add, clock, onRejected, settings),
    postgresqlClientHook(add, clock, onRejected, settings.deadMs),
  ]
}

/**
 * Makes each pg pool a probe of its own as it is made. The exported constructor is stood in for by a Proxy: statics, prototype, instanceof and
 * subclasses (pg's own pool is one) stay what they are, and instrumentations that patch the prototype patch the real one.
 */
export function postgresqlHook(
  add: Add,
  clock: Pick<Clock, 'monotonicMs'>,
  onRejected: (why: string) => void,
  settings: PostgresqlSettings = { deadMs: 60_000, timeoutMs: 1500, statement: '' },
): ModuleHook {
  const stands = new WeakMap<object, object>()
  const known = new KnownClients<PoolState>('pools of pg', isGone, onRejected)
  return {
    name: 'pg-pool (health)',
    module: 'pg-pool',
    versions: '>=2.0.0 <4',
    patch(exports) {
      const Pool = (typeof exports === 'function' ? exports : exports?.default) as PoolConstructor | undefined
      if (typeof Pool !== 'function') throw new TypeError('pg-pool exports no constructor')
      const stand = stands.get(Pool) ?? standIn(Pool, (pool, madeAt) => watch(pool, madeAt))
      stands.set(Pool, stand)
      // The same export may come again, by the other module format.
      stands.set(stand, stand)
      return stand
    },
  }

  function watch(pool: PgPool, madeAt: string | undefined): void {
    const state: PoolState = {
      ref: new WeakRef(pool),
      question: QUESTION,
      sentinel: settings.statement && sentinelQuestion(settings.statement, settings.timeoutMs),
      slots: undefined,
      slotsAt: Number.NEGATIVE_INFINITY,
      wasWritable: false,
      hint: looksLikeReplica(pool.options),
    }
    if (!known.add(state)) return
    watches.set(pool, new PoolWatch(pool, () => clock.monotonicMs(), settings.deadMs))
    add(
      poolProbe(state, clock, () => known.isAnother(state, ({ wasWritable }) => wasWritable)),
      madeAt,
    )
  }
}

function standIn(Pool: PoolConstructor, made: (pool: PgPool, madeAt: string | undefined) => void): PoolConstructor {
  const construct = (target: PoolConstructor, args: unknown[], newTarget: NewableFunction): object => {
    const pool = Reflect.construct(target, args, newTarget) as PgPool
    try {
      made(pool, madeBy(construct, OWN_FRAMES).at)
    } catch {
      // the app gets its pool, whatever becomes of the probe
    }
    return pool
  }
  const stand = new Proxy(Pool, { construct })
  Object.defineProperty(Pool.prototype, 'constructor', { value: stand, writable: true, configurable: true })
  return stand
}

/** By pool, and held by it alone: a pool that the app drops must go. */
const watches = new WeakMap<PgPool, PoolWatch>()

interface PoolState extends PostgresqlServer {
  readonly ref: WeakRef<PgPool>
  question: string
  readonly sentinel: string
  slots: Slots | undefined
  /** Infinity: this server does not tell. */
  slotsAt: number
}

function isGone(state: PoolState): boolean {
  const pool = state.ref.deref()
  return !pool || pool.ending === true || pool.ended === true
}

function poolProbe(state: PoolState, clock: Pick<Clock, 'monotonicMs'>, anotherIsWritable: () => boolean): FoundProbe {
  return {
    name: 'postgresql',
    component: 'postgresql',
    criticality: 'required',
    isGone: () => isGone(state),
    check: async (signal) => {
      const pool = state.ref.deref()
      const watch = pool && watches.get(pool)
      if (!watch) return { status: 'pass' }
      const now = (): number => clock.monotonicMs()
      const result = await checkPool({ pool, watch, state, signal, anotherIsWritable, now })
      return watch.control.judge(result, () => experiment(pool))
    },
  }
}

interface Check {
  readonly pool: PgPool
  readonly watch: PoolWatch
  readonly state: PoolState
  readonly signal: AbortSignal
  readonly now: () => number
  readonly anotherIsWritable: () => boolean
}

/** Counters first, which cost nothing; then one client of the app's own pool and what it is asked, all within the deadline that the signal is. */
async function checkPool(given: Check): Promise<ProbeResult> {
  const { pool, watch, signal } = given
  const observed = counters(pool, watch)
  const borrowed = await watch.borrow(signal)
  if (borrowed.kind === 'refused') return refusal(borrowed.error, { observed, isFull: isFull(pool) })
  if (borrowed.kind === 'late')
    return borrowed.exhausted
      ? sick('pool_exhausted', exhaustion(pool), counters(pool, watch), 'self_recoverable')
      : sick('timeout', 'no connection within the deadline', observed)
  const { client } = borrowed
  const answers: Answer[] = []
  for (const question of questions(given)) {
    const answer = await ask(client, question, signal)
    answers.push(answer)
    if (answer.kind !== 'rows') break
  }
  // As pool.query() does: a client that has failed does not go back. One that hangs would block whoever gets it next.
  borrowed.giveBack(answers.at(-1)!.kind === 'rows')
  return judge(answers, given, observed)
}

/** What the server says of itself, then the app's own statement, then the slots, which are the least. */
function questions({ state, now }: Check): readonly string[] {
  const asked = [state.question]
  if (state.sentinel) asked.push(state.sentinel)
  if (state.question === QUESTION && now() - state.slotsAt >= SLOTS_EVERY_MS) asked.push(SLOTS_QUESTION)
  return asked
}

function judge(answers: readonly Answer[], given: Check, observed: Observed): ProbeResult {
  const { pool, state, now } = given
  const [first, ...others] = answers
  if (answers.some(({ kind }) => kind === 'late'))
    return sick('timeout', 'connected, but the server did not answer within the deadline', observed)
  if (first?.kind !== 'rows') {
    const error = first?.kind === 'error' ? first.error : undefined
    return judgeRefusal(error, state, { observed, isFull: isFull(pool) })
  }
  const ofServer = judgeServer(first.row, state, {
    observed,
    anotherIsWritable: given.anotherIsWritable,
    isPlain: state.question !== QUESTION,
  })
  const sentinel = state.sentinel ? others.shift() : undefined
  // A replica is not asked to do what only its primary can.
  if (sentinel?.kind === 'error' && ofServer.status === 'pass' && !ofServer.observed?.['role'])
    return refusal(sentinel.error, { observed, isFull: isFull(pool) })
  const slots = others.shift()
  if (slots) {
    state.slots = slots.kind === 'rows' ? slotsIn(slots.row) : state.slots
    state.slotsAt = slots.kind === 'error' ? Number.POSITIVE_INFINITY : now()
  }
  return ofServer.status === 'pass' ? withWarnings(ofServer, given) : ofServer
}

/** What goes on, and will not for long. */
function withWarnings(result: ProbeResult, { state, watch }: Check): ProbeResult {
  const observed: Observed = { ...result.observed, ...slotsObserved(state.slots) }
  const waitedMs = watch.holders.tickets.oldestWaiterMs()
  if (waitedMs >= LONG_WAIT_MS)
    return {
      status: 'warn',
      code: 'pool_saturated',
      cause: 'self_recoverable',
      reason: `requests wait ${Math.round(waitedMs)} ms for a client of the pool`,
      observed,
    }
  if (areSlotsScarce(state.slots))
    return {
      status: 'warn',
      code: 'slots_near_limit',
      cause: 'dependency',
      reason: 'nearly all connections that the server allows are in use',
      observed,
    }
  return { ...result, observed }
}

type Answer =
  | { readonly kind: 'rows'; readonly row: Row }
  | { readonly kind: 'error'; readonly error: unknown }
  | { readonly kind: 'late' }

async function ask(client: PgClient, question: string, signal: AbortSignal): Promise<Answer> {
  const ignore = (): void => {}
  // While it is borrowed nobody else listens: without this, a lost connection would be an uncaught error of the app.
  client.on('error', ignore)
  const answer = Promise.resolve(client.query(question)).then(
    (result): Answer => ({ kind: 'rows', row: result?.rows?.[0] ?? {} }),
    (error: unknown): Answer => ({ kind: 'error', error }),
  )
  const first = await untilAborted(answer, signal)
  if (first === 'late') return { kind: 'late' }
  if (first.kind === 'rows') client.removeListener('error', ignore)
  return first
}

function counters(pool: PgPool, watch: PoolWatch): Observed {
  const count = (value: number): { value: number; unit: string } => ({ value, unit: 'count' })
  const oldest = watch.holders.tickets.oldestWaiterMs()
  return {
    connections: count(pool.totalCount),
    idle: count(pool.idleCount),
    waiting: count(pool.waitingCount),
    ...(pool.options?.max === undefined ? {} : { max: count(pool.options.max) }),
    ...(oldest > 0 ? { oldestWaiter: { value: Math.round(oldest), unit: 'ms' } } : {}),
    ...heldObserved(watch.holders.longestHeld()),
  }
}

function exhaustion(pool: PgPool): string {
  return `no client became free within the deadline: ${pool.totalCount} of ${pool.options?.max ?? '?'} are busy, ${pool.waitingCount} others wait`
}

function isFull(pool: PgPool): boolean {
  return pool.idleCount === 0 && pool.totalCount >= (pool.options?.max ?? 10)
}

function looksLikeReplica(options: PgPool['options']): boolean {
  const asked =
    typeof options?.options === 'string' && /transaction_read_only\s*=\s*(?:on|true|1)\b/i.test(options.options)
  return asked || namesReplica(typeof options?.host === 'string' ? options.host : hostOf(options?.connectionString))
}

function hostOf(connectionString: unknown): string {
  try {
    return typeof connectionString === 'string' ? new URL(connectionString).hostname : ''
  } catch {
    return ''
  }
}
