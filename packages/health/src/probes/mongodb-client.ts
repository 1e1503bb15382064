// What a MongoClient of mongodb 6 and 7 knows by itself, read without asking anybody: its monitors keep the description of the servers true,
// on connections of their own, and its pools count.
import { LONG_WAIT_MS } from './pool-control.ts'

export interface MongoClient {
  db(name?: string): { command(command: object, options: object): Promise<unknown> }
  /** From connect() on; after close() there is none. */
  readonly topology?: MongoTopology | undefined
  /** While it connects. */
  readonly connectionLock?: Promise<unknown> | undefined
  readonly options?: {
    readonly credentials?: unknown
    readonly dbName?: string
    readonly hosts?: readonly unknown[]
    readonly srvHost?: string | undefined
  }
  readonly readPreference?: { readonly mode?: string }
  readonly autoEncrypter?: unknown
  readonly s?: { readonly hasBeenClosed?: boolean; readonly url?: string }
  on?(event: string, listener: (told?: { readonly newDescription?: unknown }) => void): unknown
}
export interface MongoTopology {
  readonly description: MongoDescription
  readonly s?: { readonly servers?: ReadonlyMap<string, { readonly pool?: MongoPool }> }
  isDestroyed?(): boolean
  selectServer?(...args: unknown[]): unknown
}
export interface MongoDescription {
  readonly type: string
  readonly servers: ReadonlyMap<string, MongoServer>
}
export interface MongoServer {
  readonly type: string
  /** Why it is Unknown. */
  readonly error?: unknown
}
/** One for each server. The lists are there from 6.13 on. */
export interface MongoPool {
  readonly availableConnectionCount: number
  readonly connections?: { first?(): { readonly idleTime?: number } | null | undefined }
  readonly currentCheckedOutCount: number
  readonly options?: { readonly maxPoolSize?: number }
  readonly totalConnectionCount: number
  readonly waitQueue?: { first?(): { readonly checkoutTime?: number } | null | undefined }
  readonly waitQueueSize: number
}

/** unknown: no server has answered. */
export type Role = 'writable' | 'read_only' | 'no_primary' | 'unknown'

const WRITABLE: ReadonlySet<string> = new Set(['LoadBalancer', 'Mongos', 'RSPrimary', 'Standalone'])
const UNKNOWN: ReadonlySet<string> = new Set(['PossiblePrimary', 'Unknown'])

export function roleOf({ type, servers }: MongoDescription): Role {
  const types = [...servers.values()].map((server) => server.type)
  if (types.some((each) => WRITABLE.has(each))) return 'writable'
  if (types.every((each) => UNKNOWN.has(each))) return 'unknown'
  // With directConnection one server is meant, whatever its set has elected.
  return type === 'Single' ? 'read_only' : 'no_primary'
}

/** Its connecting failed, and it does not try again by itself: whatever the app asks of it is refused, until the app calls connect(). */
export function isDead({ connectionLock, topology, s }: MongoClient): boolean {
  if (connectionLock) return false
  return topology ? topology.isDestroyed?.() === true : s?.hasBeenClosed !== true
}

export function isClosed({ connectionLock, topology, s }: MongoClient): boolean {
  return !connectionLock && !topology && s?.hasBeenClosed === true
}

/** Of the servers that take the app's work: the one that is writable where there is one. */
export function poolsOf({ description, s }: MongoTopology): MongoPool[] {
  const all = [...(s?.servers ?? [])]
  const working = all.filter(([address]) => WRITABLE.has(description.servers.get(address)?.type ?? ''))
  return (working.length > 0 ? working : all).flatMap(([, { pool }]) => (pool ? [pool] : []))
}

/** All connections that it may have are there, and each does something. */
export function isFull({ currentCheckedOutCount, options }: MongoPool): boolean {
  const most = options?.maxPoolSize ?? 0
  return most > 0 && currentCheckedOutCount >= most
}

/** How long the first of those that wait for a connection has been waiting; 0 where nobody does, or where the driver does not say since when. */
export function oldestWaiterMs(pools: readonly MongoPool[]): number {
  const waited = pools.map((pool) => {
    const since = pool.waitQueueSize > 0 ? pool.waitQueue?.first?.()?.checkoutTime : undefined
    if (since === undefined) return 0
    // By the clock of performance in version 7, by that of the system in version 6, which is ahead of it.
    const ms = performance.now() - since
    return ms > -10 ? ms : Number(process.hrtime.bigint() / 1_000_000n) - since
  })
  return Math.max(0, ...waited)
}

/** A connection has come back whole in the last `withinMs`, and nobody waits long for one. False where the driver does not say. */
export function isUsedWell(pools: readonly MongoPool[], withinMs: number): boolean {
  if (oldestWaiterMs(pools) >= LONG_WAIT_MS) return false
  return pools.some(({ availableConnectionCount, connections }) => {
    const idleMs = availableConnectionCount > 0 ? connections?.first?.()?.idleTime : undefined
    // In whole milliseconds.
    return idleMs !== undefined && idleMs + 1 < withinMs
  })
}

/** A monitor has had no answer, a pool has thrown its connections away, somebody got none. */
const TROUBLE = ['serverHeartbeatFailed', 'connectionPoolCleared', 'connectionCheckOutFailed']
/** What a server, or the whole set, is now. */
const CHANGED = ['serverDescriptionChanged', 'topologyDescriptionChanged']
const heard = new WeakSet<MongoClient>()

/** By the driver's own events, which come without anybody asking, and seldom. */
export function hearTrouble(client: MongoClient, onTrouble: () => void): void {
  if (heard.has(client)) return
  heard.add(client)
  for (const event of TROUBLE) client.on?.(event, onTrouble)
  for (const event of CHANGED)
    client.on?.(event, (told) => {
      if (isWorse(told?.newDescription)) onTrouble()
    })
}

function isWorse(now: unknown): boolean {
  const { servers, type } = (now ?? {}) as Partial<MongoDescription>
  return servers ? roleOf(now as MongoDescription) !== 'writable' : type === 'Unknown'
}

/** Calls `onUse` for what the app still asks of a topology that is closed for good. */
export function watchDead(topology: MongoTopology, onUse: () => void): void {
  const original = topology.selectServer
  if (typeof original !== 'function' || Object.hasOwn(topology, 'selectServer')) return
  topology.selectServer = function (...args) {
    onUse()
    return original.apply(this, args)
  }
}
