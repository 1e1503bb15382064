import type { ModuleHook, ProbeResult } from '@afterspan/core/internal'
import { networkCode, SQLSTATE } from '../codes.ts'
import { KnownClients } from '../known-clients.ts'
import { madeBy } from '../made-at.ts'
import type { FoundProbe } from '../registry.ts'
import { scrub } from '../scrub.ts'
import { untilAborted } from '../until-aborted.ts'
import { sick, worstQueue, type QueueAnswer, type QueueThresholds } from './queue-judgement.ts'

/** Of pg-boss 12. */
type Method = (this: Boss, ...args: unknown[]) => Promise<unknown>
interface Boss {
  getDb(): Db
}
interface Db {
  executeSql(
    text: string,
    values: unknown[],
    options?: { signal: AbortSignal },
  ): Promise<{ readonly rows: readonly Row[] }>
  /** Of its own database; one that the app brings knows nothing of the schema. */
  readonly config?: { readonly schema?: unknown }
}
interface Row {
  readonly name: string
  readonly waiting: unknown
  readonly oldest_ms: unknown
  readonly active: unknown
  readonly stalled: unknown
}
type Answers = ReadonlyMap<string, QueueAnswer>
interface State {
  readonly ref: WeakRef<Boss>
  readonly schema: string
  /** Of the queues that the app has named. */
  readonly queues: Set<string>
  hasBlocked: boolean
  isStopped: boolean
  /** What is on its way: it is not asked a second time. */
  flight: Promise<Answers> | undefined
  answers: Answers | undefined
  /** Not before: by how long the last question took. */
  askAt: number
}

/** What takes the name of a queue, first or as the `name` of what comes first. */
const NAMING = [
  'createQueue',
  'fetch',
  'insert',
  'send',
  'sendAfter',
  'sendDebounced',
  'sendThrottled',
  'upsert',
  'work',
]
const MOST_QUEUES = 20
/** More are as many. */
const MOST_COUNTED = 10_000
/** Whoever supervises looks each minute, and needs a moment for many. */
const LATE_S = 150
/** The question may cost a twentieth of the database's time at most. */
const REST = 20
/** A question that hangs gives its connection up, where the version knows how. */
const GIVEN_UP_MS = 30_000
const OWN_FRAMES = /[\\/]node_modules[\\/]pg-boss[\\/]/
const UNDEFINED_COLUMN = '42703'
/** import and require may both bring the class. */
const watched = new WeakSet<object>()

/** Finds each instance as it is started, and its queues by what the app does with them. */
export function pgBossHook(
  add: (probe: FoundProbe, madeAt: string | undefined) => unknown,
  clock: { monotonicMs(): number },
  onRejected: (why: string) => void,
  thresholds: QueueThresholds,
): ModuleHook {
  const states = new WeakMap<Boss, State>()
  const known = new KnownClients<State>('instances of pg-boss', isGone, onRejected)
  const start = (boss: Boss, boundary: (...args: never[]) => unknown): void => {
    const before = states.get(boss)
    if (before && !before.isStopped) return
    const schema = boss.getDb().config?.schema
    if (typeof schema !== 'string') return
    const state = newState(boss, schema, before?.queues ?? new Set())
    states.set(boss, state)
    if (!known.add(state)) return
    add(pgBossProbe(state, clock, thresholds), madeBy(boundary, OWN_FRAMES).at)
  }
  return {
    name: 'pg-boss (health)',
    module: 'pg-boss',
    versions: '>=12.0.0 <13',
    patch({ PgBoss: { prototype } }: { readonly PgBoss: { readonly prototype: Record<string, Method | undefined> } }) {
      if (watched.has(prototype)) return
      watched.add(prototype)
      before(prototype, 'start', start)
      before(prototype, 'stop', (boss) => {
        const state = states.get(boss)
        if (state) state.isStopped = true
      })
      for (const method of NAMING)
        before(prototype, method, (boss, _boundary, [first]) => {
          const name = typeof first === 'string' ? first : (first as { name?: unknown } | null | undefined)?.name
          const queues = states.get(boss)?.queues
          if (typeof name === 'string' && queues && queues.size < MOST_QUEUES) queues.add(name)
        })
    },
  }
}

function before(
  prototype: Record<string, Method | undefined>,
  name: string,
  look: (boss: Boss, boundary: (...args: never[]) => unknown, args: readonly unknown[]) => void,
): void {
  const original = prototype[name]
  if (typeof original !== 'function') return
  const method: Method = function (...args) {
    try {
      look(this, method, args)
    } catch {
      // the app's call goes on, whatever becomes of the probe
    }
    return original.apply(this, args)
  }
  prototype[name] = method
}

function newState(boss: Boss, schema: string, queues: Set<string>): State {
  return {
    ref: new WeakRef(boss),
    schema,
    queues,
    hasBlocked: true,
    isStopped: false,
    flight: undefined,
    answers: undefined,
    askAt: Number.NEGATIVE_INFINITY,
  }
}

function isGone({ ref, isStopped }: State): boolean {
  return isStopped || ref.deref() === undefined
}

function pgBossProbe(state: State, clock: { monotonicMs(): number }, thresholds: QueueThresholds): FoundProbe {
  return {
    name: 'pg-boss',
    component: 'pg-boss',
    criticality: 'required',
    isGone: () => isGone(state),
    // The app's own statements say that the database is well, and nothing of the jobs that wait.
    seesWell: () => false,
    check: (signal) => check(state, signal, () => clock.monotonicMs(), thresholds),
  }
}

async function check(
  state: State,
  signal: AbortSignal,
  now: () => number,
  thresholds: QueueThresholds,
): Promise<ProbeResult> {
  const boss = state.ref.deref()
  if (!boss || state.isStopped || state.queues.size === 0) return { status: 'pass' }
  try {
    if (!state.flight && now() >= state.askAt) {
      const startedAt = now()
      const flight = ask(boss, state)
      const land = (): void => {
        state.flight = undefined
        state.askAt = now() + REST * (now() - startedAt)
      }
      state.flight = flight
      flight.then(land, land)
    }
    const answers = state.flight ? await untilAborted(state.flight, signal) : state.answers
    if (answers === 'late') return sick('timeout', 'the queues’ database did not answer within the deadline')
    state.answers = answers
    return worstQueue(answers ?? new Map(), thresholds)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    // Its own database is closed before it says that it has stopped, and opened after it says that it starts.
    if (message.startsWith('Database not opened')) return { status: 'pass' }
    return sick(codeOf(error), scrub(message))
  }
}

async function ask(boss: Boss, state: State): Promise<Answers> {
  const signal = AbortSignal.timeout(GIVEN_UP_MS)
  try {
    const { rows } = await boss.getDb().executeSql(questionOf(state), [[...state.queues]], { signal })
    return new Map(rows.map((row) => [row.name, answerOf(row)]))
  } catch (error) {
    // Older ones have no jobs that wait for others.
    if (!state.hasBlocked || (error as { code?: unknown }).code !== UNDEFINED_COLUMN) throw error
    state.hasBlocked = false
    return ask(boss, state)
  }
}

/** Of each queue by the index that its workers fetch by, and of no more jobs than say enough. */
function questionOf({ schema, hasBlocked }: State): string {
  const job = `"${schema.replaceAll('"', '""')}".job`
  return `SELECT q.name, w.waiting, w.oldest_ms, a.active, a.stalled
FROM unnest($1::text[]) AS q(name)
CROSS JOIN LATERAL (
  SELECT count(*)::int AS waiting, extract(epoch FROM now() - min(greatest(start_after, created_on)))::float8 * 1000 AS oldest_ms
  FROM (SELECT start_after, created_on FROM ${job}
    WHERE name = q.name AND state < 'active'${hasBlocked ? ' AND NOT blocked' : ''} AND start_after <= now()
    LIMIT ${MOST_COUNTED}) AS waits
) AS w
CROSS JOIN LATERAL (
  SELECT count(*)::int AS active,
    (count(*) FILTER (WHERE started_on + (expire_seconds + ${LATE_S}) * interval '1s' < now()))::int AS stalled
  FROM (SELECT started_on, expire_seconds FROM ${job} WHERE name = q.name AND state = 'active' LIMIT ${MOST_COUNTED}) AS works
) AS a`
}

function answerOf({ waiting, oldest_ms: oldestMs, active, stalled }: Row): QueueAnswer {
  return {
    waiting: Number(waiting),
    active: Number(active),
    ...(Number(stalled) > 0 ? { stalled: Number(stalled) } : {}),
    ...(typeof oldestMs === 'number' ? { oldestMs: Math.max(0, oldestMs) } : {}),
  }
}

function codeOf(error: unknown): string {
  const { code, message, name } = (error ?? {}) as { code?: unknown; message?: unknown; name?: unknown }
  if (typeof code === 'string' && SQLSTATE.test(code)) return code
  const network = networkCode(error)
  if (network) return network
  return name === 'AbortError' || name === 'TimeoutError' || /timeout/i.test(String(message)) ? 'timeout' : 'error'
}
