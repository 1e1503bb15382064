import type { Clock, ModuleHook, ProbeResult } from '@afterspan/core/internal'
import { KnownClients } from '../known-clients.ts'
import { madeBy } from '../made-at.ts'
import { NO_NEWS, type RefusalNews } from '../refusals.ts'
import type { FoundProbe } from '../registry.ts'
import { namesReplica } from '../replica.ts'
import { untilAborted } from '../until-aborted.ts'
import { PostgresJsWatch, type PostgresJs } from './postgres-js-watch.ts'
import { judgeRefusal, judgeServer, sick, type Observed, type PostgresqlServer } from './postgresql-judgement.ts'
import { QUESTION } from './postgresql-questions.ts'

type Add = (probe: FoundProbe, madeAt: string | undefined) => unknown
type Postgres = (...args: unknown[]) => PostgresJs

const OWN_FRAMES = /[\\/]node_modules[\\/]postgres[\\/]/

/**
 * Makes what postgres.js gives to the app (a pool that is a function) a probe of its own. Its connections keep a process alive, and the pool
 * has no way to change that: so nothing is asked before the app itself has asked something, nor once its connections may have gone by
 * their idle_timeout.
 */
export function postgresJsHook(
  add: Add,
  clock: Pick<Clock, 'monotonicMs'>,
  onRejected: (why: string) => void,
  refusals: RefusalNews = NO_NEWS,
): ModuleHook {
  const stands = new WeakMap<object, object>()
  const known = new KnownClients<PoolState>('pools of postgres.js', isGone, onRejected)
  const watch = (sql: PostgresJs, boundary: (...args: never[]) => unknown): void => {
    const by = madeBy(boundary, OWN_FRAMES)
    if (by.kind === 'library') return
    const state: PoolState = {
      ref: new WeakRef(sql),
      question: QUESTION,
      wasWritable: false,
      hint: sql.options.host?.some(namesReplica) ?? false,
    }
    if (!known.add(state)) return
    watches.set(sql, new PostgresJsWatch(sql, () => clock.monotonicMs(), refusals))
    const anotherIsWritable = (): boolean => known.isAnother(state, ({ wasWritable }) => wasWritable)
    add(poolProbe(state, anotherIsWritable), by.at)
  }
  return {
    name: 'postgres (health)',
    module: 'postgres',
    versions: '>=3.3.0 <4',
    patch(exports) {
      const postgres = (typeof exports === 'function' ? exports : exports?.default) as Postgres | undefined
      if (typeof postgres !== 'function') throw new TypeError('postgres exports no function')
      const stand = stands.get(postgres) ?? standIn(postgres, watch)
      stands.set(postgres, stand)
      // The same export may come again, by the other module format.
      stands.set(stand, stand)
      return stand
    },
  }
}

function standIn(
  postgres: Postgres,
  made: (sql: PostgresJs, boundary: (...args: never[]) => unknown) => void,
): Postgres {
  const apply = (target: Postgres, thisArg: unknown, args: unknown[]): PostgresJs => {
    const sql = Reflect.apply(target, thisArg, args) as PostgresJs
    try {
      made(sql, apply)
    } catch {
      // the app gets its pool, whatever becomes of the probe
    }
    return sql
  }
  return new Proxy(postgres, { apply })
}

/** By pool, and held by it alone: a pool that the app drops must go. */
const watches = new WeakMap<PostgresJs, PostgresJsWatch>()

interface PoolState extends PostgresqlServer {
  readonly ref: WeakRef<PostgresJs>
  question: string
}

function isGone({ ref }: PoolState): boolean {
  const sql = ref.deref()
  return !sql || watches.get(sql)?.isEnded !== false
}

function poolProbe(state: PoolState, anotherIsWritable: () => boolean): FoundProbe {
  return {
    name: 'postgresql',
    component: 'postgresql',
    criticality: 'required',
    isGone: () => isGone(state),
    async check(signal) {
      const sql = state.ref.deref()
      const watch = sql && watches.get(sql)
      return watch ? checkPool({ watch, state, signal, anotherIsWritable }) : { status: 'pass' }
    },
  }
}

async function checkPool(given: {
  readonly watch: PostgresJsWatch
  readonly state: PoolState
  readonly signal: AbortSignal
  readonly anotherIsWritable: () => boolean
}): Promise<ProbeResult> {
  const { watch, state, signal, anotherIsWritable } = given
  const observed = counters(watch)
  if (watch.use === 'none')
    return { status: 'warn', code: 'not_connected', reason: 'the app has not asked anything yet', observed }
  if (watch.use === 'idle') return { status: 'pass', observed: { ...observed, checked: { value: 'status' } } }
  const answer = await untilAborted(watch.ask(state.question), signal)
  if (answer === 'late') return late(watch, counters(watch))
  if (answer.kind === 'row') {
    const row = { in_recovery: answer.row[0], read_only: answer.row[1] }
    const isPlain = state.question !== QUESTION
    return withUnanswered(judgeServer(row, state, { observed, anotherIsWritable, isPlain }), watch)
  }
  return judgeRefusal(answer.error, state, { observed, isFull: false })
}

function late(watch: PostgresJsWatch, observed: Observed): ProbeResult {
  if (!watch.isWaiting) return sick('timeout', 'the server did not answer within the deadline', observed)
  const { taken, max } = watch
  return taken >= max
    ? sick(
        'pool_exhausted',
        `no connection became free: ${taken} transactions want ${max}`,
        observed,
        'self_recoverable',
      )
    : sick('timeout', 'no connection within the deadline', observed)
}

/** One connection answers, and another one does not: what the app sends there waits for ever. */
function withUnanswered(result: ProbeResult, { unansweredMs }: PostgresJsWatch): ProbeResult {
  if (result.status !== 'pass' || unansweredMs === 0) return result
  const reason = `a connection of the pool has not answered for ${Math.round(unansweredMs)} ms, others do`
  return { ...result, status: 'warn', code: 'connection_lost', cause: 'self_recoverable', reason }
}

function counters(watch: PostgresJsWatch): Observed {
  const oldest = watch.oldestTakenMs
  return {
    transactions: { value: watch.taken, unit: 'count' },
    max: { value: watch.max, unit: 'count' },
    ...(oldest > 0 ? { longestHeld: { value: Math.round(oldest), unit: 'ms' } } : {}),
  }
}
