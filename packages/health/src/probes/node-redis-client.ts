// The part of node-redis (@redis/client 5 and 6) that a probe needs, and which of its clients may be asked without harm. Everything is sent by
// sendCommand: typed commands go through the app's type mappings, key prefixes and client-side cache.
import type { RedisDoor } from './redis-round-trip.ts'

export type Kind = 'client' | 'cluster' | 'pool' | 'sentinel'

/** A client, cluster, pool or sentinel as it was constructed; what the app holds has this as its prototype. */
export interface NodeRedisClient {
  readonly isOpen: boolean
  /** Of all but a pool. */
  readonly isReady?: boolean
  readonly isPubSubActive?: boolean
  readonly options?: NodeRedisOptions
  readonly _self?: NodeRedisClient
  sendCommand(...args: readonly unknown[]): Promise<unknown>
  /** A client like it, with other options. */
  duplicate?(options: object): unknown
  emit?(this: NodeRedisClient, event: string, ...rest: unknown[]): unknown
  /** Of a cluster: who serves each slot. */
  readonly slots?: readonly ({ readonly master?: ClusterNode } | undefined)[]
  readonly masters?: readonly ClusterNode[]
  /** Of a pool. */
  execute?<T>(work: (client: NodeRedisClient) => Promise<T>): Promise<T>
  readonly clientsInUse?: number
  readonly idleClients?: number
  readonly tasksQueueLength?: number
}
interface ClusterNode {
  readonly address: string
  readonly client?: NodeRedisClient
}
/** What the app gave to createClient() and its siblings. */
export interface NodeRedisOptions {
  readonly url?: string
  readonly socket?: {
    readonly host?: string
    readonly port?: number
    readonly path?: string
    readonly tls?: unknown
  }
  readonly database?: number
  readonly readonly?: boolean
  readonly RESP?: number
  readonly name?: string
  readonly rootNodes?: readonly NodeRedisOptions[]
  readonly sentinelRootNodes?: readonly { readonly host?: string; readonly port?: number }[]
}

const BLOCKING: ReadonlySet<unknown> = new Set(
  [
    'BLMOVE',
    'BLMOVEM',
    'BLMPOP',
    'BLPOP',
    'BRPOP',
    'BRPOPLPUSH',
    'BZMPOP',
    'BZPOPMAX',
    'BZPOPMIN',
    'WAIT',
    'WAITAOF',
    'XREAD',
    'XREADGROUP',
  ].flatMap((name) => [name, name.toLowerCase()]),
)

/** Such a command waits for other people's data, and whatever comes after it on its connection waits with it. */
export function isBlocking(args: unknown): boolean {
  if (!Array.isArray(args) || !BLOCKING.has(args[0])) return false
  return !/^xread/i.test(String(args[0])) || args.some((arg) => /^block$/i.test(String(arg)))
}

/** Clients of one server and one database are asked through one of them; never anything secret. */
export function identityOf(kind: Kind, options: NodeRedisOptions | undefined): string {
  if (kind === 'cluster') return JSON.stringify([kind, options?.rootNodes?.map(addressOf)])
  if (kind === 'sentinel') return JSON.stringify([kind, options?.name, options?.sentinelRootNodes?.map(hostAndPort)])
  return JSON.stringify([kind, addressOf(options), databaseOf(options)])
}

/** For telling replicas: the name that the app calls the server by. */
export function hostOf(options: NodeRedisOptions | undefined): string {
  return parsed(options?.url)?.hostname ?? options?.socket?.host ?? ''
}

/** The commands as each kind wants them. */
export function doorOf(client: NodeRedisClient, kind: Kind): RedisDoor {
  const send = (args: readonly string[]): Promise<unknown> => {
    if (kind === 'cluster') return client.sendCommand(args[1], false, args)
    return kind === 'sentinel' ? client.sendCommand(false, args) : client.sendCommand(args)
  }
  return {
    set: (key, value, ttlMs) => send(['SET', key, value, 'PX', String(ttlMs)]),
    get: (key) => send(['GET', key]),
    del: (key) => send(['DEL', key]),
  }
}

/** Until RESP3, which is the default from 6 on, a subscribed connection takes no other command. */
export function isSubscriber(client: NodeRedisClient, defaultResp: number): boolean {
  return client.isPubSubActive === true && (client.options?.RESP ?? defaultResp) < 3
}

function addressOf(options: NodeRedisOptions | undefined): string {
  const url = parsed(options?.url)
  if (url) return `${url.hostname || url.pathname}:${url.port || 6379}`
  return options?.socket?.path ?? hostAndPort(options?.socket ?? {})
}

function hostAndPort({ host, port }: { readonly host?: string; readonly port?: number }): string {
  return `${host ?? 'localhost'}:${port ?? 6379}`
}

function databaseOf(options: NodeRedisOptions | undefined): number {
  const url = parsed(options?.url)
  const inUrl = url?.protocol === 'unix:' ? url.searchParams.get('db') : url?.pathname.slice(1)
  return Number(inUrl || options?.database || 0)
}

function parsed(url: string | undefined): URL | undefined {
  return url !== undefined && URL.canParse(url) ? new URL(url) : undefined
}
