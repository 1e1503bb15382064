import type { MetricFamily, MetricSample } from '../contracts/service.ts'
import type { MetricRegistry } from '../metrics/registry.ts'

/** The part of a pool of pg that is counted. */
export interface CountedPool {
  readonly ending?: boolean
  readonly idleCount?: number
  readonly options: {
    readonly database?: unknown
    readonly host?: unknown
    readonly max?: number
    readonly port?: unknown
  }
  readonly totalCount?: number
  readonly waitingCount?: number
}
interface Counts {
  used: number
  idle: number
  pending: number
  max: number
}

/** A pool for each tenant: these are told, by name. */
const MOST_NAMES = 1000

/** How many connections the pools have, who waits for one, and how many there may be: read when somebody asks, so that it costs a question nothing. */
export class PoolConnections {
  readonly #noted = new WeakSet<CountedPool>()
  /** A pool that the app drops must go. */
  readonly #pools = new Map<string, Set<WeakRef<CountedPool>>>()

  constructor(metrics: MetricRegistry) {
    metrics.callback(() => this.#families())
  }

  note(pool: CountedPool): void {
    if (this.#noted.has(pool)) return
    this.#noted.add(pool)
    const name = nameOf(pool.options)
    const same = this.#pools.get(name)
    if (same) same.add(new WeakRef(pool))
    else if (this.#pools.size < MOST_NAMES) this.#pools.set(name, new Set([new WeakRef(pool)]))
  }

  #families(): readonly MetricFamily[] {
    const counts = [...this.#pools].map(([name, pools]) => [name, countAll(pools)] as const)
    const byName = (read: (counts: Counts) => number): MetricSample[] =>
      counts.map(([name, its]) => ({ labels: { db_client_connection_pool_name: name }, value: read(its) }))
    const byState = (state: 'idle' | 'used'): MetricSample[] =>
      byName((its) => its[state]).map(({ labels, value }) => ({
        labels: { ...labels, db_client_connection_state: state },
        value,
      }))
    return [
      family('db_client_connection_count', COUNT, [...byState('used'), ...byState('idle')]),
      family(
        'db_client_connection_pending_requests',
        PENDING,
        byName(({ pending }) => pending),
      ),
      family(
        'db_client_connection_max',
        MAX,
        byName(({ max }) => max),
      ),
    ]
  }
}

const COUNT = 'The number of connections that are currently in state described by the state attribute.'
const PENDING = 'The number of current pending requests for an open connection.'
const MAX = 'The maximum number of open connections allowed.'

function family(name: string, help: string, samples: readonly MetricSample[]): MetricFamily {
  return { name, type: 'gauge', across: 'sum', help, samples }
}

/** Names that have lost all of their pools stay, at 0: a series that ends says nothing. */
function countAll(pools: Set<WeakRef<CountedPool>>): Counts {
  const all: Counts = { used: 0, idle: 0, pending: 0, max: 0 }
  for (const ref of pools) {
    const pool = ref.deref()
    if (!pool) {
      pools.delete(ref)
      continue
    }
    const { totalCount = 0, idleCount = 0, waitingCount = 0, options, ending } = pool
    all.used += totalCount - idleCount
    all.idle += idleCount
    all.pending += waitingCount
    all.max += ending ? 0 : (options.max ?? 0)
  }
  return all
}

/** As the official instrumentation has it, of the options alone. */
function nameOf({ host, port, database }: CountedPool['options'] = {}): string {
  const or = (value: unknown, otherwise: string): string => (value ? String(value as string) : otherwise)
  return `${or(host, 'unknown_host')}:${or(port, 'unknown_port')}/${or(database, 'unknown_database')}`
}
