import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Clock, ModuleHook, ProbeResult } from '@afterspan/core/internal'
import { KnownClients } from '../known-clients.ts'
import { madeBy } from '../made-at.ts'
import { NO_NEWS, type RefusalNews } from '../refusals.ts'
import type { FoundProbe } from '../registry.ts'
import { namesReplica } from '../replica.ts'
import { BareConnections } from './mysql-client.ts'
import { experiment, MysqlHolders, type FindConnection } from './mysql-holders.ts'
import { judgeRefusal, judgeServer, questionOf, sick, type MysqlServer, type Observed } from './mysql-judgement.ts'
import { ask, borrow, isFull, type Done, type MysqlPool } from './mysql-pool.ts'
import { ERROR_PACKET, watchErrors, type ErrorPacket } from './mysql-refusals.ts'
import { LONG_WAIT_MS, withWaiters } from './pool-control.ts'
import { heldObserved } from './pool-tickets.ts'

type GetConnection = ((this: MysqlPool, done: Done) => unknown) & { [SEEN]?: true }
interface PoolPrototype {
  getConnection?: GetConnection
}
type Add = (probe: FoundProbe, madeAt: string | undefined) => unknown

const SEEN = Symbol('afterspan.health')
const OWN_FRAMES = /[\\/]node_modules[\\/]mysql2[\\/]/
const BORROWED = 'tracing:mysql2:pool:connect:start'

/**
 * Finds each mysql2 pool when it is first used: everything that a pool does begins with `getConnection` of the prototype that the callback
 * and the promise API share. `mysql2/promise` does not load the main file; there its first use of any pool, told by mysql2's own channel, leads
 * to the prototype.
 */
export function mysqlHook(
  add: Add,
  clock: Pick<Clock, 'monotonicMs'>,
  onRejected: (why: string) => void,
  { deadMs = 60_000, refusals = NO_NEWS }: { readonly deadMs?: number; readonly refusals?: RefusalNews } = {},
): ModuleHook & { seek(): void } {
  const known = new KnownClients<PoolState>('pools of mysql2', isGone, onRejected)
  const seen = new WeakSet<MysqlPool>()
  const found = (pool: MysqlPool, boundary: GetConnection): void => {
    if (seen.has(pool)) return
    seen.add(pool)
    const by = madeBy(boundary as (...args: never[]) => unknown, OWN_FRAMES)
    const hint = namesReplica(pool.config?.connectionConfig?.host ?? '')
    const state: PoolState = { ref: new WeakRef(pool), hint, wasWritable: false, isPlain: false }
    if (!known.add(state)) return
    holders.set(pool, new MysqlHolders(pool, () => clock.monotonicMs(), deadMs))
    const anotherIsWritable = (): boolean => known.isAnother(state, ({ wasWritable }) => wasWritable)
    add(mysqlProbe(state, anotherIsWritable), by.at)
  }
  const connections = new BareConnections({ add, now: () => clock.monotonicMs(), onRejected, refusals })
  const seek = (): void => {
    seekPools((prototype) => watchPools(prototype, found))
    for (const Connection of loadedConnections()) connections.watch(Connection)
    for (const Packet of loaded<ErrorPacket>(ERROR_PACKET)) watchErrors(Packet, refusals)
  }
  watchPromiseApi(seek)
  return {
    /** A pool is being used: of whatever copy of mysql2 there is. */
    seek,
    name: 'mysql2 (health)',
    module: 'mysql2',
    versions: '>=2.0.0 <4',
    patch(exports: Record<'Connection' | 'Pool', { readonly prototype: object } | undefined>) {
      const prototype = exports.Pool?.prototype
      if (!prototype) throw new TypeError('mysql2 exports no Pool')
      watchPools(prototype, found)
      if (exports.Connection) connections.watch(exports.Connection)
      for (const Packet of loaded<ErrorPacket>(ERROR_PACKET)) watchErrors(Packet, refusals)
    },
  }
}

function watchPromiseApi(onUse: () => void): void {
  const onBorrow = (): void => {
    unsubscribe(BORROWED, onBorrow)
    onUse()
  }
  subscribe(BORROWED, onBorrow)
}

function seekPools(onPrototype: (prototype: object) => void): void {
  for (const Pool of loaded<{ readonly prototype?: object }>(/[\\/]mysql2[\\/]lib[\\/]base[\\/]pool\.js$/))
    if (Pool.prototype) onPrototype(Pool.prototype)
}

/** What makes a single connection: a pool has its own class, whose connections it counts. */
const findConnection: FindConnection = () => loadedConnections()[0]

function loadedConnections(): NonNullable<ReturnType<FindConnection>>[] {
  return loaded(/[\\/]mysql2[\\/]lib[\\/]connection\.js$/)
}

function loaded<Exports>(file: RegExp): Exports[] {
  const modules = Object.entries(require.cache).filter(([path]) => file.test(path))
  return modules.map(([, module]) => module?.exports as Exports | undefined).filter((exports) => exports !== undefined)
}

/** On whichever prototype has the method: that of the base class, in version 3. */
function watchPools(prototype: object, found: (pool: MysqlPool, boundary: GetConnection) => void): void {
  let owner: object | null = prototype
  while (owner && !Object.hasOwn(owner, 'getConnection')) owner = Object.getPrototypeOf(owner) as object | null
  const original = (owner as PoolPrototype | null)?.getConnection
  if (!owner || typeof original !== 'function' || original[SEEN]) return
  const getConnection: GetConnection = function (done) {
    try {
      found(this, getConnection)
    } catch {
      // the app gets its connection, whatever becomes of the probe
    }
    return original.call(this, holders.get(this)?.asks(done, getConnection) ?? done)
  }
  getConnection[SEEN] = true
  ;(owner as PoolPrototype).getConnection = getConnection
}

/** By pool, and held by it alone: a pool that the app drops must go. */
const holders = new WeakMap<MysqlPool, MysqlHolders>()

interface PoolState extends MysqlServer {
  readonly ref: WeakRef<MysqlPool>
}

function isGone({ ref }: PoolState): boolean {
  const pool = ref.deref()
  return !pool || pool._closed === true
}

function mysqlProbe(state: PoolState, anotherIsWritable: () => boolean): FoundProbe {
  return {
    name: 'mysql',
    component: 'mysql',
    criticality: 'required',
    isGone: () => isGone(state),
    async check(signal) {
      const pool = state.ref.deref()
      const its = pool && holders.get(pool)
      if (!its) return { status: 'pass' }
      const result = await checkPool({ pool, its, state, signal, anotherIsWritable })
      return its.control.judge(result, () => experiment(pool, findConnection))
    },
  }
}

interface Check {
  readonly pool: MysqlPool
  readonly its: MysqlHolders
  readonly state: PoolState
  readonly signal: AbortSignal
  readonly anotherIsWritable: () => boolean
}

/** One connection of the app's own pool and one statement, both within the deadline that the signal is. */
async function checkPool({ pool, its, state, signal, anotherIsWritable }: Check): Promise<ProbeResult> {
  const observed = counters(pool, its)
  const wasFull = isFull(pool)
  const isHeld = (its.longestHeld()?.ms ?? 0) >= LONG_WAIT_MS
  try {
    const connection = await borrow(pool, signal, (wish) => its.tickets.unwatched(wish))
    if (connection === 'late')
      return wasFull
        ? sick(
            'pool_exhausted',
            'no connection became free within the deadline',
            counters(pool, its),
            'self_recoverable',
          )
        : sick('timeout', 'no connection within the deadline', observed)
    const row = await ask(connection, questionOf(state, connection._handshakePacket?.serverVersion, isHeld), signal)
    if (row === 'late') return sick('timeout', 'connected, but the server did not answer within the deadline', observed)
    const result = judgeServer(row, state, { observed, anotherIsWritable })
    return result.status === 'pass' ? withWaiters(result, its.tickets.oldestWaiterMs()) : result
  } catch (error) {
    return judgeRefusal(error, state, observed)
  }
}

function counters(pool: MysqlPool, its: MysqlHolders): Observed {
  const count = (value: number): { value: number; unit: string } => ({ value, unit: 'count' })
  const limit = pool.config?.connectionLimit
  const waitedMs = its.tickets.oldestWaiterMs()
  return {
    connections: count(pool._allConnections?.length ?? 0),
    idle: count(pool._freeConnections?.length ?? 0),
    waiting: count(pool._connectionQueue?.length ?? 0),
    ...(limit ? { max: count(limit) } : {}),
    ...(waitedMs > 0 ? { oldestWaiter: { value: Math.round(waitedMs), unit: 'ms' } } : {}),
    ...heldObserved(its.longestHeld()),
  }
}
