import type { ProbeResult } from '@afterspan/core/internal'
import { scrub } from '../scrub.ts'
import { untilAborted } from '../until-aborted.ts'
import {
  isDead,
  isFull,
  oldestWaiterMs,
  poolsOf,
  roleOf,
  type MongoClient,
  type MongoPool,
  type MongoTopology,
} from './mongodb-client.ts'
import { isOfSelection, isUnauthorized, messageOf, refusalCode, serverError } from './mongodb-refusal.ts'
import { withWaiters } from './pool-control.ts'

type Observed = NonNullable<ProbeResult['observed']>

/** What is known of a client from one check to the next. */
export interface Seen {
  /** Its addresses say that they are of replicas. */
  readonly hint: boolean
  /** The app's own, where it has named one. */
  readonly database: () => string | undefined
  wasWritable: boolean
  /** The database in which its user could read, and the one in which it could not from the first. */
  readIn: string | undefined
  refusedIn: string | undefined
  /** The question that has no answer yet. */
  flight: { readonly answer: Promise<number>; readonly startedAt: number } | undefined
  /** How many have none, those included that are no longer waited for. */
  flights: number
  /** When it was last asked. */
  askedAt: number
}

export interface Asking {
  readonly client: MongoClient
  readonly seen: Seen
  readonly signal: AbortSignal
  readonly now: () => number
  readonly anotherIsWritable: () => boolean
}

/** Reads nothing, as an app reads: with a permission, a ticket of the storage engine, and behind mongos a shard. Nobody makes this collection. */
const READ = { find: 'afterspan.health', filter: { _id: 0 }, limit: 1, singleBatch: true }
/** Of a user who may not. */
const PING = { ping: 1 }
/** Drivers before 6.13 cannot take a command back: one that hangs for so long on a connection that is lost is no longer waited for. */
const GIVE_UP_MS = 30_000
/** And each of them holds a connection. */
const MOST_FLIGHTS = 3

/** One command over the app's own pool, and what the driver's monitors know of the servers. */
export async function checkClient(asking: Asking): Promise<ProbeResult> {
  const { client, signal } = asking
  if (!client.topology && client.connectionLock) {
    // It looks up its servers in DNS, or reads a certificate.
    const met = await untilAborted(client.connectionLock, signal).catch((error: unknown) => error)
    if (met === 'late') return sick('not_connected', 'the client has not connected yet')
  }
  const { topology } = client
  if (!topology || isDead(client)) return judgeDead(topology)
  const wasFull = isAllFull(poolsOf(topology))
  try {
    const answer = await untilAborted(fly(asking), signal)
    return answer === 'late' ? judgeSilence(topology, client, wasFull) : judgeAnswer(answer, topology, asking)
  } catch (error) {
    return judgeRefusal(error, topology, client, wasFull)
  }
}

/** One question at a time: a server that swallows them holds one connection, however often it is checked. */
function fly(asking: Asking): Promise<number> {
  const { seen, now } = asking
  const isOverdue = seen.flight !== undefined && now() - seen.flight.startedAt > GIVE_UP_MS
  if (seen.flight && (!isOverdue || seen.flights >= MOST_FLIGHTS)) return seen.flight.answer
  seen.flights++
  const answer = ask(asking).finally(() => {
    seen.flights--
    if (seen.flight === flight) seen.flight = undefined
  })
  const flight = { answer, startedAt: now() }
  seen.flight = flight
  return answer
}

/** What the last check asked, of another client. */
export async function askAnother(client: MongoClient, { database, refusedIn }: Seen): Promise<unknown> {
  const name = database()
  const { readPreference } = client
  return name === undefined || name === refusedIn
    ? client.db('admin').command(PING, { readPreference })
    : client.db(name).command(READ, { readPreference })
}

/** The milliseconds that it took. */
async function ask({ client, seen, signal }: Asking): Promise<number> {
  const database = seen.database()
  // With client-side encryption a read would look up schemas, and ask another process.
  const reads = database !== undefined && database !== seen.refusedIn && !client.autoEncrypter
  const startedAt = performance.now()
  const put = (name: string, command: object): Promise<unknown> =>
    client.db(name).command(command, { signal, readPreference: client.readPreference })
  if (!reads) await put('admin', PING)
  else
    try {
      await put(database, READ)
      seen.readIn = database
    } catch (error) {
      // A user with rights on some collections only. One that may not any more, or that never said who it is, is refused like the app.
      const isRestricted = seen.readIn !== database && client.options?.credentials !== undefined
      if (!isUnauthorized(error) || !isRestricted) throw error
      seen.refusedIn = database
      await put('admin', PING)
    }
  return Math.round((performance.now() - startedAt) * 10) / 10
}

function judgeAnswer(
  roundTripMs: number,
  topology: MongoTopology,
  { client, seen, anotherIsWritable }: Asking,
): ProbeResult {
  const pools = poolsOf(topology)
  const observed: Observed = { roundTrip: { value: roundTripMs, unit: 'ms' }, ...counters(topology, pools) }
  const role = roleOf(topology.description)
  if (role === 'writable') seen.wasWritable = true
  if (role === 'no_primary') return { ...noPrimary(observed), status: 'warn' }
  if (role === 'read_only') {
    // One that never could write, in an app that writes elsewhere or that asked for a replica, is as it is meant to be.
    const isMeant = seen.hint || prefersOthers(client) || anotherIsWritable()
    if (seen.wasWritable || !isMeant)
      return sick('read_only', 'the server is not the primary: it refuses every write', observed)
    return { status: 'pass', observed: { ...observed, role: { value: 'read_only' } } }
  }
  return withWaiters({ status: 'pass', observed }, oldestWaiterMs(pools))
}

function judgeSilence(topology: MongoTopology, client: MongoClient, wasFull: boolean): ProbeResult {
  const pools = poolsOf(topology)
  const observed = counters(topology, pools)
  const role = roleOf(topology.description)
  if (role === 'unknown') {
    const error = serverError(topology.description)
    if (error !== undefined) return sick(refusalCode(error), scrub(messageOf(error)), observed)
    return sick('not_connected', 'no server has answered the client yet', observed)
  }
  if (role === 'no_primary' && !prefersOthers(client)) return noPrimary(observed)
  if (wasFull && isAllFull(pools)) {
    const reason = 'no connection became free within the deadline'
    return sick('pool_exhausted', reason, observed, 'self_recoverable')
  }
  return sick('timeout', 'the server did not answer within the deadline', observed)
}

function judgeRefusal(error: unknown, topology: MongoTopology, client: MongoClient, wasFull: boolean): ProbeResult {
  if (isOfSelection(error)) {
    const result = judgeSilence(topology, client, wasFull)
    // The server is known again by now: it had been lost for that command.
    return result.code === 'timeout' ? sick(refusalCode(error), scrub(messageOf(error)), result.observed ?? {}) : result
  }
  const code = refusalCode(error)
  const observed = counters(topology, poolsOf(topology))
  const cause = code === 'pool_exhausted' ? 'self_recoverable' : 'dependency'
  const reason = code === 'no_permission' ? 'the user may not read what the app reads' : scrub(messageOf(error))
  return sick(code, reason, observed, cause)
}

function judgeDead(topology: MongoTopology | undefined): ProbeResult {
  const error = topology && serverError(topology.description)
  const reason = 'the client could not connect, and does not try again by itself'
  if (error === undefined) return sick('not_connected', reason)
  return sick(refusalCode(error), `${reason}: ${scrub(messageOf(error))}`)
}

function noPrimary(observed: Observed): ProbeResult {
  return sick('no_primary', 'the replica set has no primary: nobody takes writes', observed)
}

/** Its reads go to another member than the primary. */
function prefersOthers({ readPreference }: MongoClient): boolean {
  return (readPreference?.mode ?? 'primary') !== 'primary'
}

function isAllFull(pools: readonly MongoPool[]): boolean {
  return pools.length > 0 && pools.every(isFull)
}

function counters({ description }: MongoTopology, pools: readonly MongoPool[]): Observed {
  const count = (of: (pool: MongoPool) => number): Observed[string] => ({
    value: pools.reduce((sum, pool) => sum + of(pool), 0),
    unit: 'count',
  })
  const servers = [...description.servers.values()]
  const waitedMs = oldestWaiterMs(pools)
  return {
    connections: count((pool) => pool.totalConnectionCount),
    idle: count((pool) => pool.availableConnectionCount),
    waiting: count((pool) => pool.waitQueueSize),
    max: count((pool) => pool.options?.maxPoolSize ?? 0),
    ...(waitedMs > 0 ? { oldestWaiter: { value: Math.round(waitedMs), unit: 'ms' } } : {}),
    topology: { value: description.type },
    servers: { value: servers.length, unit: 'count' },
    unknownServers: { value: servers.filter(({ type }) => type === 'Unknown').length, unit: 'count' },
  }
}

function sick(
  code: string,
  reason: string,
  observed?: Observed,
  cause: NonNullable<ProbeResult['cause']> = 'dependency',
): ProbeResult {
  return { status: 'fail', code, cause, reason, ...(observed ? { observed } : {}) }
}
