// Where node-redis makes, opens and closes its clients. Each of its classes is changed before its package exports what they offer, so that
// every way to import them gets the same.
import { isBlocking, type Kind, type NodeRedisClient, type NodeRedisOptions } from './node-redis-client.ts'

export interface Made {
  readonly client: NodeRedisClient
  readonly kind: Kind
  readonly options: NodeRedisOptions | undefined
  /** Below it on the stack is who made it. */
  readonly boundary: (...args: never[]) => unknown
  /** Of a client that names none. */
  readonly defaultResp: number
}
export interface Watcher {
  onMade(made: Made): void
  onConnect(client: NodeRedisClient, isOver: boolean): void
  onClose(client: NodeRedisClient): void
  onMonitor(client: NodeRedisClient, isMonitor: boolean): void
  /** Of the client whose own connection waits: one more or one less blocking command. */
  onBlocking(client: NodeRedisClient, change: 1 | -1): void
}
type Method = (this: NodeRedisClient, ...args: unknown[]) => unknown
interface NodeRedisClass {
  readonly name: string
  create?: Method
  readonly prototype: Record<string, Method | undefined>
}

const KINDS: Readonly<Record<string, Kind>> = {
  RedisClient: 'client',
  RedisClientPool: 'pool',
  RedisCluster: 'cluster',
  RedisSentinel: 'sentinel',
}
const SEEN = Symbol('afterspan.health')

/** `exports` is what one of the files exports that hold the classes. */
export function watchNodeRedis(
  exports: Readonly<Record<string, unknown>>,
  defaultResp: number,
  watcher: Watcher,
): void {
  const found = Object.values(exports).find(
    (value): value is NodeRedisClass => typeof value === 'function' && value.name in KINDS,
  )
  if (!found || typeof found.create !== 'function')
    throw new TypeError('this file of @redis/client has no class with create()')
  if (SEEN in found) return
  Object.defineProperty(found, SEEN, { value: true })
  const kind = KINDS[found.name]!
  const tell = (client: unknown, options: unknown, boundary: Method): void => {
    quietly(() => {
      const made = client as NodeRedisClient
      watcher.onMade({
        client: made._self ?? made,
        kind,
        options: options as NodeRedisOptions | undefined,
        boundary,
        defaultResp,
      })
    })
  }
  around(found as never, 'create', (original) => {
    const create: Method = function (...args) {
      const client = original.apply(this, args)
      tell(client, args[0], create)
      return client
    }
    return create
  })
  around(found.prototype, 'duplicate', (original) => {
    const duplicate: Method = function (...args) {
      const client = original.apply(this, args)
      tell(client, (client as NodeRedisClient).options ?? args[0], duplicate)
      return client
    }
    return duplicate
  })
  watchLife(found.prototype, watcher)
  if (kind === 'client') watchCommands(found.prototype, watcher)
}

function watchLife(prototype: NodeRedisClass['prototype'], { onConnect, onClose }: Watcher): void {
  around(
    prototype,
    'connect',
    (original) =>
      function (...args) {
        const client = this._self ?? this
        quietly(() => onConnect(client, false))
        return settling(original.apply(this, args), () => onConnect(client, true))
      },
  )
  for (const name of ['close', 'destroy', 'disconnect', 'quit', 'QUIT'])
    around(
      prototype,
      name,
      (original) =>
        function (...args) {
          quietly(() => onClose(this._self ?? this))
          return original.apply(this, args)
        },
    )
}

function watchCommands(prototype: NodeRedisClass['prototype'], { onBlocking, onMonitor }: Watcher): void {
  around(
    prototype,
    'sendCommand',
    (original) =>
      function (args, options) {
        if (!isBlocking(args)) return original.call(this, args, options)
        const client = this._self ?? this
        quietly(() => onBlocking(client, 1))
        return settling(original.call(this, args, options), () => onBlocking(client, -1))
      },
  )
  for (const [name, isMonitor] of [
    ['MONITOR', true],
    ['RESET', false],
  ] as const)
    around(
      prototype,
      name,
      (original) =>
        function (...args) {
          quietly(() => onMonitor(this._self ?? this, isMonitor))
          return original.apply(this, args)
        },
    )
}

function around(target: Record<string, Method | undefined>, name: string, wrap: (original: Method) => Method): void {
  const original = target[name]
  if (typeof original !== 'function' || !Object.hasOwn(target, name)) return
  const wrapped = wrap(original)
  Object.defineProperty(wrapped, 'name', { value: name, configurable: true })
  Object.defineProperty(target, name, { value: wrapped, writable: true, configurable: true })
}

/** The app gets a promise of which nobody has taken the rejection: what it leaves unhandled is to be seen as ever. */
function settling(result: unknown, then: () => void): unknown {
  if (!(result instanceof Promise)) {
    quietly(then)
    return result
  }
  return result.finally(() => quietly(then))
}

/** The client goes on, whatever becomes of the probe. */
function quietly(tell: () => void): void {
  try {
    tell()
  } catch {
    // a probe less
  }
}
