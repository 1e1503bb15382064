// The part of ioredis that a probe needs, and which client may be asked without harm.

/** Of ioredis 4 to 6: Redis and Cluster alike. */
export interface RedisClient {
  readonly status: string
  readonly isCluster?: boolean
  /** From 5 on: normal, subscriber, monitor. */
  readonly mode?: string
  readonly condition?: { readonly subscriber?: unknown } | null
  readonly manuallyClosing?: boolean
  readonly options?: {
    readonly host?: string
    readonly port?: number
    readonly path?: string | null
    readonly db?: number
    readonly sentinels?: unknown
    readonly tls?: unknown
    readonly name?: string | null
    readonly role?: string
    readonly readOnly?: boolean
    readonly monitor?: boolean
    readonly keyPrefix?: string
  }
  readonly startupNodes?: unknown
  readonly commandQueue?: {
    readonly length: number
    peekAt?(index: number): { readonly command?: { readonly name?: unknown } } | undefined
  }
  /** Of a cluster: by slot the addresses of its nodes, the master first. */
  readonly slots?: readonly (readonly string[] | undefined)[]
  nodes?(role: 'all' | 'master'): readonly RedisClient[]
  /** A client like it, with other options. */
  duplicate?(options: object): unknown
  set(key: string, value: string, unit: 'PX', ttlMs: number): Promise<unknown>
  get(key: string): Promise<unknown>
  del(key: string): Promise<unknown>
  once(event: 'ready', listener: () => void): unknown
  removeListener(event: 'ready', listener: () => void): unknown
}

/** What comes after one of these waits, or is refused: until a SUBSCRIBE is answered, ioredis does not say that it is a subscriber. */
const BLOCKING: ReadonlySet<unknown> = new Set([
  'blmove',
  'blmovem',
  'blmpop',
  'blpop',
  'brpop',
  'brpoplpush',
  'bzmpop',
  'bzpopmax',
  'bzpopmin',
  'monitor',
  'psubscribe',
  'ssubscribe',
  'subscribe',
  'wait',
  'waitaof',
  'xread',
  'xreadgroup',
])
const MOST_LOOKED_AT = 1000

/** Connected, and a command sent now would be answered next: no subscriber, no monitor, nothing before it that waits for other people's data. */
export function isUsable(client: RedisClient): boolean {
  if (client.status !== 'ready' || isListener(client)) return false
  return client.isCluster ? !(client.nodes?.('all') ?? []).some(isBlocked) : !isBlocked(client)
}

const OPEN: ReadonlySet<string> = new Set(['wait', 'connecting', 'connect', 'ready'])

/** Closed by the app. While it waits to reconnect ioredis then leaves it in that state for good, and while it connects it tells no 'close'; BullMQ writes 'end' into it by itself. */
export function isClosed(client: RedisClient): boolean {
  return client.manuallyClosing === true && !OPEN.has(client.status)
}

/** A blocking command is in flight: whatever comes after it on this connection waits for it. */
export function isBlocked({ commandQueue }: RedisClient): boolean {
  const length = Math.min(commandQueue?.length ?? 0, MOST_LOOKED_AT)
  for (let i = 0; i < length; i++) if (BLOCKING.has(nameAt(commandQueue, i))) return true
  return false
}

function nameAt(queue: RedisClient['commandQueue'], index: number): string {
  const name = queue?.peekAt?.(index)?.command?.name
  return typeof name === 'string' ? name.toLowerCase() : ''
}

function isListener(client: RedisClient): boolean {
  // ioredis knows best: with RESP3 a subscriber may send any command.
  if (typeof client.mode === 'string') return client.mode !== 'normal'
  return Boolean(client.condition?.subscriber) || Boolean(client.options?.monitor)
}

/** Clients of one server and one database are asked through one of them. */
export function identityOf(client: RedisClient): string {
  const { options } = client
  if (client.isCluster) return `cluster ${JSON.stringify(client.startupNodes, addressOnly)}`
  if (options?.sentinels) return JSON.stringify(['sentinel', options.name, options.role ?? 'master', options.db ?? 0])
  return JSON.stringify([options?.path ?? `${options?.host}:${options?.port}`, options?.db ?? 0])
}

function addressOnly(key: string, value: unknown): unknown {
  return key === '' || /^(?:\d+|host|port)$/.test(key) ? value : undefined
}
