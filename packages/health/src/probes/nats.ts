import type { ModuleHook, ProbeResult } from '@afterspan/core/internal'
import { networkCode } from '../codes.ts'
import { KnownClients } from '../known-clients.ts'
import { madeBy } from '../made-at.ts'
import type { FoundProbe } from '../registry.ts'
import { scrub } from '../scrub.ts'
import { untilAborted } from '../until-aborted.ts'

/** Of nats 2 and @nats-io/nats-core 3. */
export interface NatsConnection {
  closed(): Promise<unknown>
  flush(): Promise<void>
  isClosed(): boolean
  isDraining(): boolean
  request(subject: string, data: undefined, options: { timeout: number }): Promise<{ readonly data: Uint8Array }>
  readonly protocol?: { readonly connected?: boolean }
}
interface ConnectionClass {
  connect?: ((...args: unknown[]) => Promise<NatsConnection>) & { [SEEN]?: true }
}
interface ApiClient {
  readonly nc: object
}
interface ApiPrototype {
  _request?: ((this: ApiClient, subject: string, ...rest: unknown[]) => Promise<unknown>) & { [SEEN]?: true }
}
interface Exports {
  readonly NatsConnectionImpl?: ConnectionClass
  /** Of the newer packages and of nats 2. */
  readonly BaseApiClientImpl?: { readonly prototype: ApiPrototype }
  readonly BaseApiClient?: { readonly prototype: ApiPrototype }
}
type Add = (probe: FoundProbe, madeAt: string | undefined) => unknown
type Boundary = (...args: never[]) => unknown
type Observed = NonNullable<ProbeResult['observed']>

const SEEN = Symbol('afterspan.health')
const OWN_FRAMES = /[\\/]node_modules[\\/](?:nats|@nats-io[\\/][a-z-]+)[\\/]/
const REQUEST_MS = 5000
const NEAR_LIMIT = 0.95
/** Questions that change nothing, and their kind. */
const QUESTION = /^\$JS(?:\.[^.]+)?\.API\.(INFO|STREAM\.INFO\.[^.]+|CONSUMER\.INFO\.[^.]+\.[^.]+)$/

interface State {
  ref: WeakRef<NatsConnection> | undefined
  phase: 'connecting' | 'open' | 'ended' | 'gone'
  /** It has connected, or could not. */
  readonly made: Promise<void>
  /** With which the client gave up; it never connects again by itself. */
  error: unknown
  /** What the app itself has asked JetStream: it is allowed to, and it uses it. Of its account, and the last of a stream or consumer. */
  account: string | undefined
  question: string | undefined
  /** What is on its way: it is not asked a second time. */
  flight: Promise<Answer> | undefined
}
interface Answer {
  readonly roundTripMs: number
  readonly jetstream?: JetStreamAnswer
}
/** Of the account, a stream or a consumer. */
interface JetStreamAnswer {
  readonly error?: { readonly code?: number; readonly description?: string }
  readonly storage?: number
  readonly limits?: { readonly max_storage?: number }
  readonly num_pending?: number
  readonly num_ack_pending?: number
  readonly num_redelivered?: number
}

/** Finds the connections of both packages as they are made, by the one function in which all of their ways to connect end. */
export function natsHooks(add: Add, onRejected: (why: string) => void): readonly ModuleHook[] {
  const states = new WeakMap<object, State>()
  const known = new KnownClients<State>('connections to NATS', isGone, onRejected)
  const onConnect = (connecting: Promise<NatsConnection>, boundary: Boundary): Promise<NatsConnection> => {
    // The app has made another one in place of those that gave up.
    for (const old of known) if (old.phase === 'ended') old.phase = 'gone'
    const { promise: made, resolve: setMade } = Promise.withResolvers<void>()
    const state = newState(made)
    if (!known.add(state)) return connecting
    const by = madeBy(boundary, OWN_FRAMES)
    add(natsProbe(state), by.kind === 'app' ? by.at : undefined)
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
    const kind = QUESTION.exec(subject)?.[1]
    if (!state || kind === undefined) return
    if (kind === 'INFO') state.account = subject
    else state.question = subject
  }
  const hook = (module: string, files: readonly string[], versions: string): ModuleHook => ({
    name: `${module} (health)`,
    module,
    files,
    versions,
    patch(exports: Exports) {
      if (exports.NatsConnectionImpl) watchConnections(exports.NatsConnectionImpl, onConnect)
      const Api = exports.BaseApiClientImpl ?? exports.BaseApiClient
      if (Api) watchQuestions(Api.prototype, onAnswered)
    },
  })
  return [
    hook('nats', ['lib/nats-base-client/nats.js', 'lib/jetstream/jsbaseclient_api.js'], '>=2.29.0 <3'),
    hook('@nats-io/nats-core', ['lib/nats.js'], '>=3.0.0 <4'),
    hook('@nats-io/jetstream', ['lib/jsbaseclient_api.js'], '>=3.0.0 <4'),
  ]
}

function newState(made: Promise<void>): State {
  return {
    ref: undefined,
    phase: 'connecting',
    made,
    error: undefined,
    account: undefined,
    question: undefined,
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

function watchQuestions(prototype: ApiPrototype, onAnswered: (client: ApiClient, subject: string) => void): void {
  const original = prototype._request
  if (typeof original !== 'function' || original[SEEN]) return
  const request: NonNullable<ApiPrototype['_request']> = function (subject, ...rest) {
    return original.call(this, subject, ...rest).then((answer) => {
      onAnswered(this, subject)
      return answer
    })
  }
  request[SEEN] = true
  prototype._request = request
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

function natsProbe(state: State): FoundProbe {
  return {
    name: 'nats',
    component: 'nats',
    criticality: 'required',
    isGone: () => isGone(state),
    check: (signal) => check(state, signal),
  }
}

async function check(state: State, signal: AbortSignal): Promise<ProbeResult> {
  // One that is about to be is waited for.
  if (state.phase === 'connecting' && (await untilAborted(state.made, signal)) === 'late')
    return sick('not_connected', 'the client has not connected yet')
  if (state.phase === 'ended') return sick(...ended(state.error))
  const connection = state.ref?.deref()
  if (!connection || connection.isClosed()) return { status: 'pass' }
  // It ends, by the app's wish, and takes no more questions.
  if (connection.isDraining()) return { status: 'pass', observed: { checked: { value: 'status' } } }
  if (connection.protocol?.connected === false)
    return sick('not_connected', 'the client is not connected, and tries again')
  try {
    state.flight ??= ask(connection, state).finally(() => (state.flight = undefined))
    const answer = await untilAborted(state.flight, signal)
    return answer === 'late' ? sick('timeout', 'the server did not answer within the deadline') : judge(answer, state)
  } catch (error) {
    return sick(refusalCode(error), scrub(messageOf(error)))
  }
}

/** PING and PONG, and what the app itself asks of JetStream. */
async function ask(connection: NatsConnection, { account, question = account }: State): Promise<Answer> {
  const startedAt = performance.now()
  await connection.flush()
  const roundTripMs = Math.round((performance.now() - startedAt) * 10) / 10
  if (question === undefined) return { roundTripMs }
  try {
    const { data } = await connection.request(question, undefined, { timeout: REQUEST_MS })
    return { roundTripMs, jetstream: JSON.parse(Buffer.from(data).toString()) as JetStreamAnswer }
  } catch (error) {
    // Nobody is there who would answer.
    if (isNoResponders(error)) return { roundTripMs, jetstream: { error: { code: 503, description: 'no responders' } } }
    throw error
  }
}

function judge({ roundTripMs, jetstream }: Answer, state: State): ProbeResult {
  const observed: Record<string, Observed[string]> = { roundTrip: { value: roundTripMs, unit: 'ms' } }
  if (!jetstream) return { status: 'pass', observed }
  const { error, limits, num_ack_pending, num_pending, num_redelivered, storage } = jetstream
  if (error) {
    // The stream or consumer is no longer there: maybe as it should be, and no sign of the server's health.
    if (error.code === 404) state.question = undefined
    else return sick('jetstream_unavailable', scrub(error.description ?? 'JetStream refuses'), observed)
  }
  const counts = { ackPending: num_ack_pending, pending: num_pending, redelivered: num_redelivered }
  for (const [name, value] of Object.entries(counts))
    if (typeof value === 'number') observed[name] = { value, unit: 'count' }
  const most = limits?.max_storage ?? 0
  if (most <= 0 || storage === undefined) return { status: 'pass', observed }
  observed['storage'] = { value: storage, unit: 'By' }
  observed['maxStorage'] = { value: most, unit: 'By' }
  if (storage < most * NEAR_LIMIT) return { status: 'pass', observed }
  const reason = 'the account has nearly used up its storage: streams will refuse messages'
  return { status: 'warn', code: 'storage_near_limit', cause: 'dependency', reason, observed }
}

/** A client that has given up stays so: whoever made it has to make another one. */
function ended(error: unknown): [code: string, reason: string] {
  const isRefused = /authorization|authentication/i.test(`${nameOf(error)} ${messageOf(error)}`)
  const code = isRefused ? 'auth_failed' : 'client_ended'
  return [code, `the client has given up: ${scrub(messageOf(error))}`]
}

function refusalCode(error: unknown): string {
  const network = networkCode(error)
  if (network) return network
  const words = `${nameOf(error)} ${messageOf(error)}`
  if (/timeout/i.test(words)) return 'timeout'
  if (/permission/i.test(words)) return 'no_permission'
  return /clos|disconnect|cancel/i.test(words) ? 'connection_lost' : 'error'
}

function isNoResponders(error: unknown): boolean {
  const { code, isNoResponders: ask } = (error ?? {}) as { code?: unknown; isNoResponders?: () => boolean }
  return code === '503' || (typeof ask === 'function' && ask.call(error))
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : ''
}

function sick(code: string, reason: string, observed?: Observed): ProbeResult {
  return { status: 'fail', code, cause: 'dependency', reason, ...(observed ? { observed } : {}) }
}
