import { replaceMethod, type Clock, type ModuleHook } from '@afterspan/core/internal'
import { KnownClients } from '../known-clients.ts'
import { madeBy } from '../made-at.ts'
import type { FoundProbe } from '../registry.ts'
import { follow } from './followed-call.ts'
import { heldObserved, PoolTickets, type Ticket } from './pool-tickets.ts'
import { PoolWaiters } from './pool-waiters.ts'

type Add = (probe: FoundProbe, madeAt: string | undefined) => unknown
type Boundary = (...args: never[]) => unknown

/** Of sequelize-pool. */
interface SequelizePool {
  readonly available: number
  readonly maxSize: number
  readonly size: number
  readonly waiting: number
  acquire(): Promise<object>
}
interface ConnectionManager {
  readonly pool?: Partial<SequelizePool> & Partial<Record<'read' | 'write', SequelizePool>>
}

const OWN_FRAMES = /[\\/]node_modules[\\/]sequelize[\\/]/

/** Makes each pool of Sequelize 6 a check of those that wait in it, as it is made; with replication those that read and those that write. */
export function sequelizeHook(
  add: Add,
  clock: Pick<Clock, 'monotonicMs'>,
  onRejected: (why: string) => void,
): ModuleHook {
  const now = (): number => clock.monotonicMs()
  const known = new KnownClients<State>('pools of Sequelize', isGone, onRejected)
  const found = (manager: ConnectionManager, pool: SequelizePool, madeAt: string | undefined): void => {
    const state: State = { manager: new WeakRef(manager), pool: new WeakRef(pool) }
    if (known.add(state)) add(poolProbe(state, new Holders(pool, now)), madeAt)
  }
  return {
    name: 'sequelize (health)',
    module: 'sequelize',
    files: ['lib/dialects/abstract/connection-manager.js'],
    versions: '>=6.0.0 <7',
    patch({ prototype }: { readonly prototype: { initPools?: unknown } }) {
      if (typeof prototype?.initPools !== 'function') throw new TypeError('this sequelize has no initPools')
      follow<ConnectionManager>(prototype, 'initPools', (manager, _args, boundary) => {
        const by = madeBy(boundary, OWN_FRAMES)
        const { pool } = manager
        for (const each of [pool, pool?.write, pool?.read]) if (isPool(each)) found(manager, each, by.at)
      })
    },
  }
}

interface State {
  readonly manager: WeakRef<ConnectionManager>
  readonly pool: WeakRef<SequelizePool>
}

function isPool(pool: Partial<SequelizePool> | undefined): pool is SequelizePool {
  return typeof pool?.acquire === 'function' && typeof pool.maxSize === 'number'
}

/** Nobody has it any more, or the app has closed it: then nothing is to be had from it, by a method of its own. */
function isGone({ manager, pool }: State): boolean {
  const living = manager.deref()
  return !living || !pool.deref() || Object.hasOwn(living, 'getConnection')
}

/** Who waits in a pool, and who holds what. */
class Holders {
  readonly tickets: PoolTickets
  moves = 0
  readonly #held = new Map<object, Ticket>()

  constructor(pool: SequelizePool, now: () => number) {
    this.tickets = new PoolTickets(now)
    const isTight = (): boolean => (pool.size - pool.available + 1) * 2 >= pool.maxSize
    const got = (ticket: Ticket, connection: object | undefined): void => {
      this.tickets.answered(ticket, connection !== undefined)
      if (!connection) return
      this.moves++
      this.#held.set(connection, ticket)
    }
    const ask = (boundary: Boundary): Ticket => this.tickets.ask(boundary, isTight())
    replaceMethod(pool, 'acquire', (original) => {
      const acquire = function (this: SequelizePool, ...args: unknown[]): unknown {
        const ticket = ask(acquire)
        const asked = original.apply(this, args) as Promise<object>
        asked.then(
          (connection) => got(ticket, connection),
          () => got(ticket, undefined),
        )
        return asked
      }
      return acquire
    })
    for (const method of ['release', 'destroy'])
      follow<SequelizePool>(pool, method, (_pool, [connection]) => {
        if (!this.#held.delete(connection as object)) return
        this.moves++
        this.tickets.cameBack()
      })
  }

  get held(): ReturnType<typeof heldObserved> {
    return heldObserved(this.tickets.longestHeld(this.#held.values()))
  }
}

function poolProbe(state: State, holders: Holders): FoundProbe {
  const waiters = new PoolWaiters()
  return {
    name: 'sequelize',
    component: 'sequelize',
    criticality: 'required',
    isGone: () => isGone(state),
    async check() {
      const pool = state.pool.deref()
      if (!pool) return { status: 'pass' }
      const { available, maxSize, size, waiting } = pool
      const { held, moves, tickets } = holders
      const oldestWaiterMs = waiting > 0 ? tickets.oldestWaiterMs() : 0
      return waiters.judge({ connections: size, idle: available, max: maxSize, waiting, oldestWaiterMs, moves, held })
    },
  }
}
