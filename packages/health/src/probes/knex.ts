import type { Clock, ModuleHook, ProbeResult } from '@afterspan/core/internal'
import { KnownClients } from '../known-clients.ts'
import { madeBy } from '../made-at.ts'
import type { FoundProbe } from '../registry.ts'
import { namesReplica } from '../replica.ts'
import { untilAborted } from '../until-aborted.ts'
import { KnexPoolWatch, type KnexConnection, type TarnPool } from './knex-pool.ts'
import { withWaiters } from './pool-control.ts'
import { PoolWaiters } from './pool-waiters.ts'
import { judgeRefusal, judgeServer, sick, type Observed, type PostgresqlServer } from './postgresql-judgement.ts'
import { QUESTION, type Row } from './postgresql-questions.ts'

type Add = (probe: FoundProbe, madeAt: string | undefined) => unknown
interface OwnConnection extends KnexConnection {
  connect(): Promise<unknown>
  end(): Promise<unknown>
  on(event: 'error', listener: () => void): unknown
  unref?(): void
}
interface KnexClient {
  readonly connectionSettings?: { readonly host?: unknown }
  readonly driver?: { readonly Client?: new (settings: unknown) => OwnConnection }
  readonly driverName?: string
  readonly pool?: Partial<TarnPool>
}
type Initialise = ((this: KnexClient, ...args: unknown[]) => unknown) & { [SEEN]?: true }

const SEEN = Symbol('afterspan.health')
const OWN_FRAMES = /[\\/]node_modules[\\/](?:knex|tarn)[\\/]/

/**
 * Makes each pool of Knex with `pg` a probe of its own as it is made. Knex makes connections of `pg` by itself and keeps them in a pool of its
 * own; one of the app's pools of `pg` that it was given is found as such. Its connections keep a process alive: so nothing is asked before
 * the app itself has asked something, nor where a question would keep a connection that the pool lets go.
 */
export function knexHook(add: Add, clock: Pick<Clock, 'monotonicMs'>, onRejected: (why: string) => void): ModuleHook {
  const known = new KnownClients<PoolState>('pools of Knex', isGone, onRejected)
  const others = new KnownClients<Pick<PoolState, 'ref'>>('pools of Knex', isGone, onRejected)
  const watch = (pool: TarnPool, probe: FoundProbe, boundary: Initialise): void => {
    watches.set(pool, new KnexPoolWatch(pool, () => clock.monotonicMs()))
    add(probe, madeBy(boundary as (...args: never[]) => unknown, OWN_FRAMES).at)
  }
  const found = (pool: TarnPool, client: KnexClient, boundary: Initialise): void => {
    const host = client.connectionSettings?.host
    const state: PoolState = {
      ref: new WeakRef(pool),
      client: new WeakRef(client),
      question: QUESTION,
      wasWritable: false,
      hint: namesReplica(typeof host === 'string' ? host : ''),
    }
    const anotherIsWritable = (): boolean => known.isAnother(state, ({ wasWritable }) => wasWritable)
    if (known.add(state)) watch(pool, knexProbe(state, anotherIsWritable), boundary)
  }
  const foundOther = (pool: TarnPool, boundary: Initialise): void => {
    const state = { ref: new WeakRef(pool) }
    if (others.add(state)) watch(pool, waitersProbe(state, new PoolWaiters()), boundary)
  }
  return {
    name: 'knex (health)',
    module: 'knex',
    files: ['lib/client.js'],
    versions: '>=0.95.0 <4',
    patch({ prototype }: { readonly prototype: { initializePool?: Initialise } }) {
      const original = prototype.initializePool
      if (typeof original !== 'function') throw new TypeError('this knex has no initializePool')
      if (original[SEEN]) return
      const initializePool: Initialise = function (...args) {
        const before = this.pool
        const returned = original.apply(this, args)
        try {
          const { pool, driverName } = this
          if (pool && pool !== before && isTarn(pool))
            if (driverName === 'pg') found(pool, this, initializePool)
            else foundOther(pool, initializePool)
        } catch {
          // the app gets its pool, whatever becomes of the probe
        }
        return returned
      }
      initializePool[SEEN] = true
      prototype.initializePool = initializePool
    },
  }
}

function isTarn(pool: Partial<TarnPool>): pool is TarnPool {
  return typeof pool.numFree === 'function' && typeof pool.on === 'function'
}

/** By pool, and held by it alone: a pool that the app drops must go. */
const watches = new WeakMap<TarnPool, KnexPoolWatch>()

interface PoolState extends PostgresqlServer {
  readonly ref: WeakRef<TarnPool>
  readonly client: WeakRef<KnexClient>
  question: string
}

function isGone({ ref }: Pick<PoolState, 'ref'>): boolean {
  return ref.deref()?.destroyed !== false
}

function knexProbe(state: PoolState, anotherIsWritable: () => boolean): FoundProbe {
  return {
    name: 'postgresql',
    component: 'postgresql',
    criticality: 'required',
    isGone: () => isGone(state),
    async check(signal) {
      const pool = state.ref.deref()
      const watch = pool && watches.get(pool)
      return watch ? checkPool({ pool, watch, state, signal, anotherIsWritable }) : { status: 'pass' }
    },
  }
}

/** With another driver its connections are asked as single ones, where the driver is followed at all. */
function waitersProbe(state: Pick<PoolState, 'ref'>, waiters: PoolWaiters): FoundProbe {
  return {
    name: 'knex',
    component: 'knex',
    criticality: 'required',
    isGone: () => isGone(state),
    async check() {
      const pool = state.ref.deref()
      const watch = pool && watches.get(pool)
      if (!watch) return { status: 'pass' }
      const { longestHeldMs, moves, oldestWaiterMs, waiting } = watch
      return waiters.judge({
        connections: pool.numUsed() + pool.numFree(),
        idle: pool.numFree(),
        max: pool.max,
        waiting,
        oldestWaiterMs,
        moves,
        held: longestHeldMs > 0 ? { longestHeld: { value: Math.round(longestHeldMs), unit: 'ms' } } : {},
      })
    },
  }
}

interface Check {
  readonly pool: TarnPool
  readonly watch: KnexPoolWatch
  readonly state: PoolState
  readonly signal: AbortSignal
  readonly anotherIsWritable: () => boolean
}

async function checkPool(given: Check): Promise<ProbeResult> {
  const { pool, watch, state } = given
  const observed = counters(pool, watch)
  if (watch.use === 'none')
    return { status: 'warn', code: 'not_connected', reason: 'the app has not asked anything yet', observed }
  if (watch.use === 'idle') return { status: 'pass', observed: { ...observed, checked: { value: 'status' } } }
  try {
    const row = watch.wouldDial ? await askBeside(given) : await askThrough(given)
    if (row === 'not connected') return late(watch, counters(pool, watch))
    if (row === 'late') return sick('timeout', 'connected, but the server did not answer within the deadline', observed)
    const isPlain = state.question !== QUESTION
    const result = judgeServer(row, state, { observed, anotherIsWritable: given.anotherIsWritable, isPlain })
    return result.status === 'pass' ? withWaiters(result, watch.oldestWaiterMs) : result
  } catch (error) {
    return judgeRefusal(error, state, { observed, isFull: watch.isFull })
  }
}

type Answer = Row | 'late' | 'not connected'

async function askThrough({ watch, state, signal }: Check): Promise<Answer> {
  const connection = await watch.borrow(signal)
  if (connection === 'late') return 'not connected'
  let isSound = false
  try {
    const answer = await untilAborted(connection.query(state.question), signal)
    isSound = answer !== 'late'
    return answer === 'late' ? answer : (answer.rows[0] ?? {})
  } finally {
    watch.giveBack(connection, isSound)
  }
}

/** Over a connection of its own, made as Knex makes them, where the pool has none to lend: it comes back the next time that the app asks. */
async function askBeside({ state, signal }: Check): Promise<Answer> {
  const { connectionSettings, driver } = state.client.deref() ?? {}
  if (!driver?.Client) return 'not connected'
  const own = new driver.Client(connectionSettings)
  own.on('error', () => {})
  let isSound = false
  try {
    const connected = await untilAborted(own.connect(), signal)
    if (connected === 'late') return 'not connected'
    own.unref?.()
    const answer = await untilAborted(own.query(state.question), signal)
    isSound = answer !== 'late'
    return answer === 'late' ? answer : (answer.rows[0] ?? {})
  } finally {
    if (isSound) own.end().catch(() => {})
    else own.connection?.stream?.destroy?.()
  }
}

function late(watch: KnexPoolWatch, observed: Observed): ProbeResult {
  return watch.isFull
    ? sick('pool_exhausted', 'no connection became free within the deadline', observed, 'self_recoverable')
    : sick('timeout', 'no connection within the deadline', observed)
}

function counters(pool: TarnPool, { longestHeldMs, oldestWaiterMs, waiting }: KnexPoolWatch): Observed {
  const count = (value: number): { value: number; unit: string } => ({ value, unit: 'count' })
  const ms = (value: number): { value: number; unit: string } => ({ value: Math.round(value), unit: 'ms' })
  return {
    connections: count(pool.numUsed() + pool.numFree()),
    idle: count(pool.numFree()),
    waiting: count(waiting),
    max: count(pool.max),
    ...(oldestWaiterMs > 0 ? { oldestWaiter: ms(oldestWaiterMs) } : {}),
    ...(longestHeldMs > 0 ? { longestHeld: ms(longestHeldMs) } : {}),
  }
}
