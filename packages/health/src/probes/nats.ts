import { replaceMethod, type Clock, type ModuleHook } from '@afterspan/core/internal'
import { KnownClients } from '../known-clients.ts'
import { madeBy } from '../made-at.ts'
import { Refusals } from '../refusals.ts'
import type { FoundProbe } from '../registry.ts'
import { follow } from './followed-call.ts'
import { check, type NatsOptions } from './nats-check.ts'
import type { NatsConnection, State } from './nats-client.ts'
import { Consumption, type Messages } from './nats-consumption.ts'
import { NATS_MODULES } from './nats-modules.ts'
import { publishRefusal } from './nats-refusal.ts'

interface ConnectionClass {
  connect?: ((...args: unknown[]) => Promise<NatsConnection>) & { [SEEN]?: true }
}
interface ApiClient {
  readonly nc: object
}
interface Exports {
  readonly NatsConnectionImpl?: ConnectionClass
  /** Of the newer packages and of nats 2. */
  readonly BaseApiClientImpl?: { readonly prototype: object }
  readonly BaseApiClient?: { readonly prototype: object }
  readonly JetStreamClientImpl?: { readonly prototype: object }
  readonly PullConsumerMessagesImpl?: { readonly prototype: object }
}
type Add = (probe: FoundProbe, madeAt: string | undefined) => unknown
type Boundary = (...args: never[]) => unknown

const SEEN = Symbol('afterspan.health')
const OWN_FRAMES = /[\\/]node_modules[\\/](?:nats|@nats-io[\\/][a-z-]+)[\\/]/
/** Questions that change nothing, and their kind. */
const QUESTION = /^\$JS(?:\.[^.]+)?\.API\.(INFO|STREAM\.INFO\.[^.]+|CONSUMER\.INFO\.[^.]+\.[^.]+)$/
const MOST_CONSUMPTIONS = 20

/** Finds the connections of both packages as they are made, by the one function in which all of their ways to connect end. */
export function natsHooks(
  add: Add,
  clock: Pick<Clock, 'monotonicMs'>,
  onRejected: (why: string) => void,
  options: NatsOptions,
): readonly ModuleHook[] {
  const states = new WeakMap<object, State>()
  const known = new KnownClients<State>('connections to NATS', isGone, onRejected)
  const onConnect = (connecting: Promise<NatsConnection>, boundary: Boundary): Promise<NatsConnection> => {
    // The app has made another one in place of those that gave up.
    for (const old of known) if (old.phase === 'ended') old.phase = 'gone'
    const { promise: made, resolve: setMade } = Promise.withResolvers<void>()
    const state = newState(made)
    if (!known.add(state)) return connecting
    add(natsProbe(state, options, clock), madeBy(boundary, OWN_FRAMES).at)
    // No second branch of it: the app's rejection must stay one that nobody has handled.
    return connecting.then(
      (connection) => {
        state.ref = new WeakRef(connection)
        state.phase = 'open'
        states.set(connection, state)
        followEnd(connection, state)
        setMade()
        return connection
      },
      (error: unknown) => {
        // The app hears of it, and makes another one or ends.
        state.phase = 'gone'
        setMade()
        throw error
      },
    )
  }
  const onAnswered = ({ nc }: ApiClient, subject: string): void => {
    const state = states.get(nc)
    for (const each of state?.consumptions ?? []) if (each.isForgottenBy(subject)) state!.consumptions.delete(each)
    const kind = QUESTION.exec(subject)?.[1]
    if (!state || kind === undefined) return
    if (kind === 'INFO') state.account = subject
    else state.question = subject
  }
  const onConsume = (messages: Messages): void => {
    const state = states.get(messages.consumer.api.nc)
    if (state && (messages.refilling ?? messages.isConsume)) consumes(state, messages, () => clock.monotonicMs())
  }
  const onPublished = ({ nc }: ApiClient, subject: string, error: unknown): void => {
    const state = options.isPassive ? states.get(nc) : undefined
    if (state) published(state, subject, error, clock.monotonicMs())
  }
  return hooksWith((exports) => {
    if (exports.NatsConnectionImpl) watchConnections(exports.NatsConnectionImpl, onConnect)
    const Api = exports.BaseApiClientImpl ?? exports.BaseApiClient
    if (Api) afterEach(Api.prototype, '_request', (client, subject, error) => error || onAnswered(client, subject))
    if (exports.JetStreamClientImpl) afterEach(exports.JetStreamClientImpl.prototype, 'publish', onPublished)
    if (exports.PullConsumerMessagesImpl) follow(exports.PullConsumerMessagesImpl.prototype, 'start', onConsume)
  })
}

function hooksWith(patch: (exports: Exports) => void): readonly ModuleHook[] {
  return NATS_MODULES.map((said) => ({ ...said, name: `${said.module} (health)`, patch }))
}

/** What came of a message that the app has sent to a stream. */
function published({ refusals }: State, subject: string, error: unknown, now: number): void {
  const [destination] = subject.split('.', 1)
  const code = error ? publishRefusal(error) : undefined
  if (code !== undefined) refusals.failed(code, destination, now)
  else if (!error && !refusals.isEmpty) refusals.wentWell(destination)
}

/** The next loop over the messages of a consumer stands in the place of one that has ended by an error. */
function consumes(state: State, messages: Messages, now: () => number): void {
  const consumption = new Consumption(messages, now)
  for (const old of state.consumptions)
    if (old.isBroken && old.question === consumption.question) state.consumptions.delete(old)
  if (state.consumptions.size >= MOST_CONSUMPTIONS) return
  state.consumptions.add(consumption)
  const end = (error: unknown): void => {
    // With its connection every loop ends.
    if (error && state.phase === 'open' && consumption.isNamed) consumption.isBroken = true
    else state.consumptions.delete(consumption)
  }
  messages.closed().then(end, end)
}

function newState(made: Promise<void>): State {
  return {
    ref: undefined,
    phase: 'connecting',
    made,
    error: undefined,
    account: undefined,
    question: undefined,
    consumptions: new Set(),
    refusals: new Refusals(),
    flight: undefined,
  }
}

function watchConnections(
  Class: ConnectionClass,
  onConnect: (connecting: Promise<NatsConnection>, boundary: Boundary) => Promise<NatsConnection>,
): void {
  const original = Class.connect
  if (typeof original !== 'function') throw new TypeError('this NATS client has no connect')
  if (original[SEEN]) return
  const connect: NonNullable<ConnectionClass['connect']> = function (this: unknown, ...args) {
    const connecting = original.apply(this, args)
    try {
      return onConnect(connecting, connect)
    } catch {
      // the app gets its connection, whatever becomes of the probe
      return connecting
    }
  }
  connect[SEEN] = true
  Class.connect = connect
}

/** Tells how each call has ended, before the app hears of it. */
function afterEach(
  prototype: object,
  name: string,
  tell: (client: ApiClient, subject: string, error: unknown) => unknown,
): void {
  const safely = (client: ApiClient, subject: unknown, error?: unknown): void => {
    try {
      if (typeof subject === 'string') tell(client, subject, error)
    } catch {
      // the app goes on, whatever becomes of the probe
    }
  }
  replaceMethod(
    prototype,
    name,
    (original) =>
      // No second branch of it: the app's rejection must stay one that nobody has handled.
      function (this: ApiClient, subject: unknown, ...rest: unknown[]): unknown {
        return (original.call(this, subject, ...rest) as Promise<unknown>).then(
          (answer) => {
            safely(this, subject)
            return answer
          },
          (error: unknown) => {
            safely(this, subject, error ?? true)
            throw error
          },
        )
      },
  )
}

/** closed() tells an error only where it was not the app that closed it. */
function followEnd(connection: NatsConnection, state: State): void {
  const end = (error: unknown): void => {
    state.error = error
    state.phase = error ? 'ended' : 'gone'
  }
  connection.closed().then(end, end)
}

function isGone({ ref, phase }: State): boolean {
  return phase === 'gone' || (ref !== undefined && ref.deref() === undefined)
}

function natsProbe(state: State, options: NatsOptions, clock: Pick<Clock, 'monotonicMs'>): FoundProbe {
  return {
    name: 'nats',
    component: 'nats',
    criticality: 'required',
    isGone: () => isGone(state),
    check: (signal) => check(state, signal, options, clock.monotonicMs()),
  }
}
