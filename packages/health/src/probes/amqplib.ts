import type { ModuleHook } from '@afterspan/core/internal'
import { madeBy } from '../made-at.ts'
import type { FoundProbe } from '../registry.ts'
import { check, seesWell, type Asking, type CheckOptions } from './amqplib-check.ts'
import {
  closed,
  consumed,
  declared,
  ended,
  given,
  isGone,
  newClient,
  opened,
  type Channel,
  type ChannelClass,
  type Client,
  type Connection,
  type Done,
  type Fields,
} from './amqplib-client.ts'

type Add = (probe: FoundProbe, madeAt: string | undefined) => unknown
type Connect = (...args: unknown[]) => unknown
type Boundary = (...args: never[]) => unknown
interface ChannelPrototype {
  _rpc: (this: Channel, method: number, fields: Fields, expect: number, done: Done) => unknown
  toClosed: (this: Channel, stack: unknown, ...rest: unknown[]) => unknown
}
interface DeliveringPrototype {
  handleDelivery: (this: Channel, message: { readonly fields?: Fields }) => unknown
  handleCancel: (this: Channel, fields: Fields) => unknown
}
interface Model {
  close?: (this: object, ...args: unknown[]) => unknown
}
type ConnectAgain = (open: () => unknown, ...rest: unknown[]) => unknown
interface Exports {
  /** lib/connect.js */
  connect?: Connect
  /** lib/channel.js */
  readonly BaseChannel?: { readonly prototype: DeliveringPrototype }
  readonly Channel?: ChannelClass & { readonly prototype: ChannelPrototype }
  /** lib/recovery.js, since 2.0 */
  connectWithRecoveryPromise?: ConnectAgain
  connectWithRecoveryCallback?: ConnectAgain
  readonly RecoveringPromiseModel?: { readonly prototype: Model }
  readonly RecoveringCallbackModel?: { readonly prototype: Model }
}

const MOST_CONNECTIONS = 20
/** Its promises are made by Node's promisify. */
const OWN_FRAMES =
  /[\\/]node_modules[\\/](?:amqplib|amqp-connection-manager|promise-breaker)[\\/]|[( ]node:internal\/util:/
/** Methods of AMQP, whose numbers the protocol has fixed. */
const DECLARE_QUEUE = 3276810
const DELETE_QUEUE = 3276840
const CONSUME = 3932180
const CANCEL = 3932190

/** Finds connections by the one function in which both faces of the library, and its recovery, end; and what happens on their channels, by the class on which both stand. */
export function amqplibHook(
  add: Add,
  clock: { monotonicMs(): number },
  onRejected: (why: string) => void,
  options: CheckOptions,
): ModuleHook {
  let Channel: ChannelClass | undefined
  const asking: Asking = { now: () => clock.monotonicMs(), channelClass: () => Channel, options }
  const clients = new Clients(add, onRejected, asking)
  const done = new WeakSet<object>()
  return {
    name: 'amqplib (health)',
    module: 'amqplib',
    files: ['lib/connect.js', 'lib/channel.js', 'lib/recovery.js'],
    versions: '>=0.10.0 <3',
    patch(exports: Exports) {
      if (done.has(exports)) return
      done.add(exports)
      if (exports.connect) watchConnects(exports as { connect: Connect }, clients)
      if (exports.Channel) {
        Channel = exports.Channel
        watchCalls(exports.Channel.prototype, clients)
      }
      if (exports.BaseChannel) watchConsumers(exports.BaseChannel.prototype, clients)
      if (exports.connectWithRecoveryPromise) watchRecovery(exports, clients)
    },
  }
}

/** The connections of the app, each with its probe. */
class Clients {
  readonly #add: Add
  readonly #onRejected: (why: string) => void
  readonly #asking: Asking
  readonly #known = new Set<Client>()
  readonly #byConnection = new WeakMap<Connection, Client>()
  /** Whose try to connect again this is. */
  #current: Client | undefined

  constructor(add: Add, onRejected: (why: string) => void, asking: Asking) {
    this.#add = add
    this.#onRejected = onRejected
    this.#asking = asking
  }

  /** That of a new try to connect; undefined where there are too many. */
  begin(boundary: Boundary): Client | undefined {
    if (this.#current) return this.#current
    const madeAt = madeBy(boundary, OWN_FRAMES).at
    const lost = this.#lostOne(madeAt)
    if (!lost) return this.#found(madeAt)
    if (lost.phase === 'closed') {
      lost.phase = 'connecting'
      lost.made = Promise.withResolvers()
    }
    return lost
  }

  /** Within `fn`, which connects again by itself, `begin` gives this one. */
  within<R>(client: Client, fn: () => R): R {
    const before = this.#current
    this.#current = client
    try {
      return fn()
    } finally {
      this.#current = before
    }
  }

  of(connection: Connection): Client | undefined {
    return this.#byConnection.get(connection)
  }

  opened(client: Client, connection: Connection): void {
    opened(client, connection, this.now())
    this.#byConnection.set(connection, client)
    connection.on('blocked', (reason) => (client.blockedBy = String(reason)))
    connection.on('unblocked', () => (client.blockedBy = undefined))
    connection.on('close', (error) => {
      if (client.ref?.deref() === connection) closed(client, error, this.now())
    })
  }

  failed(client: Client, error: unknown): void {
    closed(client, error ?? new Error('no connection'), this.now())
  }

  leave(client: Client): void {
    closed(client, undefined, this.now())
  }

  now(): number {
    return this.#asking.now()
  }

  /** Once said, nothing takes its place any more. */
  #isGone(client: Client): boolean {
    const is = isGone(client, this.now())
    if (is) this.#known.delete(client)
    return is
  }

  /** The app connects again where it has lost a connection: from the same line, mostly. */
  #lostOne(madeAt: string | undefined): Client | undefined {
    const free = [...this.#known].filter(({ phase, isRecovering }) => phase === 'lost' && !isRecovering)
    const closedHere = [...this.#known].find((client) => client.phase === 'closed' && client.madeAt === madeAt)
    const lost = free.find((client) => client.madeAt === madeAt) ?? free.find(({ hasBeenOpen }) => hasBeenOpen)
    return lost ?? free[0] ?? closedHere
  }

  #found(madeAt: string | undefined): Client | undefined {
    if (this.#known.size >= MOST_CONNECTIONS) {
      this.#onRejected(`there are ${MOST_CONNECTIONS} connections to RabbitMQ already`)
      return undefined
    }
    const probe: FoundProbe = {
      name: 'rabbitmq',
      component: 'rabbitmq',
      criticality: 'required',
      isGone: () => this.#isGone(client),
      seesWell: () => seesWell(client),
      check: (signal) => check(client, signal, this.#asking),
    }
    const client = newClient(probe, madeAt)
    this.#known.add(client)
    this.#add(probe, madeAt)
    return client
  }
}

function watchConnects(exports: { connect: Connect }, clients: Clients): void {
  const original = exports.connect
  const connect: Connect = function (this: unknown, ...args) {
    const [url, options, callback] = args
    const client = typeof callback === 'function' ? safely(() => clients.begin(connect)) : undefined
    if (!client) return original.apply(this, args)
    const told = function (this: unknown, error: unknown, connection: Connection): unknown {
      safely(() => (error ? clients.failed(client, error) : clients.opened(client, connection)))
      return (callback as Connect).call(this, error, connection)
    }
    try {
      return original.call(this, url, options, told)
    } catch (error) {
      // an address that cannot be one: nobody will try it again
      safely(() => clients.leave(client))
      throw error
    }
  }
  exports.connect = connect
}

/** Not the sending and acknowledging of messages, which go other ways. */
function watchCalls(prototype: ChannelPrototype, clients: Clients): void {
  const { _rpc: rpc, toClosed } = prototype
  prototype._rpc = function (method, fields, expect, done) {
    const client = WATCHED.has(method) ? safely(() => clients.of(this.connection)) : undefined
    if (!client) return rpc.call(this, method, fields, expect, done)
    return rpc.call(this, method, fields, expect, (error, frame) => {
      if (!error && frame) safely(() => answered(client, this, method, fields, frame.fields, clients.now()))
      return done(error, frame)
    })
  }
  prototype.toClosed = function (stack, ...rest) {
    safely(() => {
      const client = clients.of(this.connection)
      if (!client) return
      // What the library itself writes there is the only place that tells who has closed it.
      const byServer = /Channel closed by server(?:: (\d{3}))?/.exec(String(stack).slice(0, 200))
      const byConnection = /Socket error|Heartbeat timeout|Connection closed:/.test(String(stack).slice(0, 200))
      // closed() has a word for those of a connection.
      if (byConnection) return
      const reply = byServer?.[1] === undefined ? undefined : Number(byServer[1])
      ended(client, this, undefined, byServer ? 'channel' : undefined, clients.now(), reply)
    })
    return toClosed.call(this, stack, ...rest)
  }
}

const WATCHED: ReadonlySet<number> = new Set([DECLARE_QUEUE, DELETE_QUEUE, CONSUME, CANCEL])

function answered(client: Client, channel: Channel, method: number, asked: Fields, answer: Fields, now: number): void {
  if (method === DECLARE_QUEUE) declared(client, asked)
  else if (method === DELETE_QUEUE) client.queues.delete(String(asked['queue']))
  else if (method === CANCEL) ended(client, channel, String(asked['consumerTag']), undefined, now)
  else consumed(client, channel, String(asked['queue']), String(answer['consumerTag']), now)
}

function watchConsumers(prototype: DeliveringPrototype, clients: Clients): void {
  const { handleCancel, handleDelivery } = prototype
  prototype.handleDelivery = function (message) {
    given(this, message.fields?.['consumerTag'])
    return handleDelivery.call(this, message)
  }
  prototype.handleCancel = function (fields) {
    safely(() => {
      const client = clients.of(this.connection)
      if (client) ended(client, this, String(fields['consumerTag']), 'cancel', clients.now())
    })
    return handleCancel.call(this, fields)
  }
}

/** Each of its tries is one of the same client, which ends when the app closes the model, also between two of them. */
function watchRecovery(exports: Exports, clients: Clients): void {
  const clientOf = new WeakMap<object, Client>()
  for (const name of ['connectWithRecoveryPromise', 'connectWithRecoveryCallback'] as const) {
    const original = exports[name]
    if (typeof original !== 'function') continue
    const connectAgain: ConnectAgain = (open, ...rest) => {
      const client = safely(() => clients.begin(connectAgain))
      if (!client) return original(open, ...rest)
      client.isRecovering = true
      const made = original(() => clients.within(client, open), ...rest)
      const keep = <T>(model: T): T => {
        if (typeof model === 'object' && model !== null) clientOf.set(model, client)
        return model
      }
      // No second branch of it: the app's rejection must stay one that nobody has handled.
      return made instanceof Promise ? made.then(keep) : keep(made)
    }
    exports[name] = connectAgain
  }
  for (const Class of [exports.RecoveringPromiseModel, exports.RecoveringCallbackModel]) {
    const close = Class?.prototype.close
    if (!Class || !close) continue
    Class.prototype.close = function (...args) {
      safely(() => {
        const client = clientOf.get(this)
        if (client?.phase === 'lost' || client?.phase === 'connecting') clients.leave(client)
        if (client) client.isRecovering = false
      })
      return close.apply(this, args)
    }
  }
}

/** The app's own call goes on, whatever becomes of the probe. */
function safely<T>(fn: () => T): T | undefined {
  try {
    return fn()
  } catch {
    return undefined
  }
}
