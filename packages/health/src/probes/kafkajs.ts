import type { ModuleHook, ProbeResult } from '@afterspan/core/internal'
import { networkCode } from '../codes.ts'
import { KnownClients } from '../known-clients.ts'
import { madeBy } from '../made-at.ts'
import type { FoundProbe } from '../registry.ts'
import { beforeDeadline, untilAborted } from '../until-aborted.ts'
import { JOINING_MS, type ConsumerOptions } from './kafka-consumer.ts'
import { MinInSync } from './kafka-min-in-sync.ts'
import { Sending } from './kafka-sending.ts'
import { judgeTopics, PROTOCOL_CODES, Reachable, said, sick, worse } from './kafka-topics.ts'
import { ask, type Asked, type Cluster } from './kafkajs-ask.ts'
import { ConsumerWatch, type Emitting } from './kafkajs-consumer.ts'

/** What send() and sendBatch() are given. */
interface Messages {
  readonly topic?: unknown
  readonly topicMessages?: readonly { readonly topic?: unknown }[]
}
type Send = (this: unknown, record: Messages, ...rest: unknown[]) => Promise<unknown>
interface Client extends Emitting {
  send?: Send
  sendBatch?: Send
  connect: (this: unknown) => Promise<unknown>
  disconnect: (this: unknown) => Promise<unknown>
  run?: (this: unknown, config?: { eachMessage?: unknown }, ...rest: unknown[]) => Promise<unknown>
  stop?: (this: unknown) => Promise<unknown>
}
interface GivenByApp {
  readonly sessionTimeout?: number
  readonly rebalanceTimeout?: number
}
type Make = (this: object, given?: GivenByApp, ...rest: unknown[]) => Client
type Role = 'consumer' | 'producer'
interface Exports {
  readonly Kafka: { readonly prototype: Record<Role, Make> }
}
interface State extends Asked {
  readonly role: Role
  readonly watch: ConsumerWatch
  readonly sending: Sending
  readonly now: () => number
  phase: 'new' | 'connecting' | 'open' | 'failed' | 'closed'
  made: PromiseWithResolvers<void>
  error: unknown
  failedAt: number
  /** What is on its way: it is not asked a second time. */
  flight: ReturnType<typeof ask> | undefined
  /** Messages that the brokers have taken since the last look. */
  isSeen: boolean
}

/** import and require may both bring a class, and others may have wrapped its methods in between. */
const watched = new WeakSet<object>()
const OWN_FRAMES = /[\\/]node_modules[\\/]kafkajs[\\/]/
/** After a try that failed: then the app is taken to do without. */
const GIVEN_UP_MS = 60_000

/** Finds producers and consumers as they are connected, each by its own connections to the brokers. */
export function kafkajsHook(
  add: (probe: FoundProbe, madeAt: string | undefined) => unknown,
  clock: { monotonicMs(): number },
  onRejected: (why: string) => void,
  options: ConsumerOptions,
): ModuleHook {
  const known = new KnownClients<State>('clients of Kafka', isGone, onRejected)
  const found = (state: State): FoundProbe => ({
    name: state.role === 'producer' ? 'kafka' : 'kafka-consumer',
    component: 'kafka',
    criticality: 'required',
    isGone: () => isGone(state),
    seesWell: () => seesWell(state, options),
    check: (signal) => check(state, signal, options),
  })
  const connecting = (state: State, probe: FoundProbe, madeAt: string | undefined): void => {
    if (!known.add(state)) return
    state.phase = 'connecting'
    state.made = Promise.withResolvers()
    add(probe, madeAt)
  }
  const onMade: OnMade = (role, client, cluster, given, madeAt) => {
    const now = (): number => clock.monotonicMs()
    const state = newState(role, cluster, new ConsumerWatch(now, given), now)
    const probe = found(state)
    watchClient(client, state, () => connecting(state, probe, madeAt))
  }
  return {
    name: 'kafkajs (health)',
    module: 'kafkajs',
    versions: '>=2.0.0 <3',
    patch: ({ Kafka }: Exports) => watchKafka(Kafka.prototype, onMade),
  }
}

type OnMade = (role: Role, client: Client, cluster: Cluster, given: GivenByApp, madeAt: string | undefined) => void

function watchKafka(prototype: Exports['Kafka']['prototype'], onMade: OnMade): void {
  if (watched.has(prototype)) return
  watched.add(prototype)
  for (const role of ['consumer', 'producer'] as const) {
    const original = prototype[role]
    const make: Make = function (this, given, ...rest) {
      const { client, cluster } = withCluster(this, () => original.call(this, given, ...rest))
      if (!cluster) return client
      try {
        onMade(role, client, cluster, given ?? {}, madeBy(make, OWN_FRAMES).at)
      } catch {
        // the app gets its client, whatever becomes of the probe
      }
      return client
    }
    prototype[role] = make
  }
}

/** Each client has a cluster of its own, which Kafka makes within this call and tells nobody. */
function withCluster(kafka: object, make: () => Client): { client: Client; cluster: Cluster | undefined } {
  const symbol = Object.getOwnPropertySymbols(kafka).find(({ description }) => description?.endsWith(':createCluster'))
  const holder = kafka as Record<symbol, (options: unknown) => Cluster>
  const original = symbol && holder[symbol]
  if (!symbol || typeof original !== 'function') return { client: make(), cluster: undefined }
  let cluster: Cluster | undefined
  holder[symbol] = (given) => (cluster = original(given))
  try {
    const client = make()
    return { client, cluster }
  } finally {
    holder[symbol] = original
  }
}

function newState(role: Role, cluster: Cluster, watch: ConsumerWatch, now: () => number): State {
  return {
    role,
    cluster,
    watch,
    sending: new Sending(now),
    now,
    reachable: new Reachable(now),
    minInSync: new MinInSync(now),
    phase: 'new',
    made: Promise.withResolvers(),
    error: undefined,
    failedAt: 0,
    flight: undefined,
    isSeen: false,
  }
}

function isGone({ phase, failedAt, now }: State): boolean {
  return phase === 'closed' || (phase === 'failed' && now() - failedAt > GIVEN_UP_MS)
}

function watchClient(client: Client, state: State, onConnecting: () => void): void {
  const { connect, disconnect, run, stop } = client
  client.connect = function () {
    onConnecting()
    // No second branch of it: the app's rejection must stay one that nobody has handled.
    return connect.call(this).then(
      (value) => {
        // the app may have left in the meantime
        if (state.phase === 'connecting') state.phase = 'open'
        state.made.resolve()
        return value
      },
      (error: unknown) => {
        if (state.phase === 'connecting') Object.assign(state, { phase: 'failed', error, failedAt: state.now() })
        state.made.resolve()
        throw error
      },
    )
  }
  client.disconnect = function () {
    state.phase = 'closed'
    return disconnect.call(this)
  }
  if (state.role === 'producer') {
    // The probe itself never produces.
    client.on('producer.network.request', ({ payload }) => {
      if ((payload as { apiName?: unknown } | undefined)?.apiName === 'Produce') state.isSeen = true
    })
    for (const method of ['send', 'sendBatch'] as const) watchSending(client, method, state.sending)
    return
  }
  state.watch.follow(client)
  if (run)
    client.run = function (config, ...rest) {
      state.watch.runs(typeof config?.eachMessage === 'function')
      return run.call(this, config, ...rest)
    }
  if (stop)
    client.stop = function () {
      state.watch.stops()
      return stop.call(this)
    }
}

function watchSending(client: Client, method: 'send' | 'sendBatch', sending: Sending): void {
  const original = client[method]
  if (typeof original !== 'function') return
  client[method] = function (record, ...rest) {
    // No second branch of it: the app's rejection must stay one that nobody has handled.
    return original.call(this, record, ...rest).then(
      (value) => {
        sending.ended(topicOf(record), undefined)
        return value
      },
      (error: unknown) => {
        sending.ended(topicOf(record), codeOf(error))
        throw error
      },
    )
  }
}

function topicOf(record: Messages | undefined): string {
  return String(record?.topic ?? record?.topicMessages?.[0]?.topic)
}

function seesWell(state: State, options: ConsumerOptions): boolean {
  if (state.role === 'consumer') return state.watch.seesWell(options)
  const { isSeen, sending } = state
  state.isSeen = false
  return isSeen && !sending.isRefused
}

async function check(state: State, signal: AbortSignal, options: ConsumerOptions): Promise<ProbeResult> {
  if (state.phase === 'connecting' && (await untilAborted(state.made.promise, signal)) === 'late')
    return sick('not_connected', 'the client has not connected yet')
  if (state.phase === 'failed') return sick(codeOf(state.error), `the client could not connect: ${said(state.error)}`)
  if (state.phase === 'closed') return { status: 'pass' }
  const brokers = await askBrokers(state, signal, options.timeoutMs)
  if (state.role === 'producer') return options.passive === false ? brokers : state.sending.judge(brokers)
  const work = state.watch.judge(options)
  // It has let go of its connections because it has ended.
  return brokers.code === 'not_connected' && work.status === 'fail' ? work : worse(brokers, work)
}

async function askBrokers(state: State, signal: AbortSignal, timeoutMs: number): Promise<ProbeResult> {
  const { watch } = state
  try {
    state.flight ??= ask(state, !watch.isRunning).finally(() => (state.flight = undefined))
    // Its question waits behind the one that joins.
    const isJoining = watch.isJoining(JOINING_MS)
    const answer = await untilAborted(state.flight, isJoining ? beforeDeadline(signal, timeoutMs) : signal)
    if (answer !== 'late') return judgeTopics(answer, state.role)
    if (isJoining) return { status: 'pass', observed: { checked: { value: 'joining' } } }
    return sick('timeout', 'the brokers did not answer within the deadline')
  } catch (error) {
    const code = codeOf(error)
    const result = sick(code, said(error))
    // The next message may make it.
    return code === 'topic_gone' && state.role === 'producer' ? { ...result, status: 'warn' } : result
  }
}

/** Of the protocol's names for its errors, and kafkajs's own. */
const CODES: Readonly<Record<string, string>> = {
  ...PROTOCOL_CODES,
  KafkaJSConnectionClosedError: 'connection_lost',
  KafkaJSRequestTimeoutError: 'timeout',
  KafkaJSSASLAuthenticationError: 'auth_failed',
}

function codeOf(error: unknown): string {
  const { type, name, cause, code } = (error ?? {}) as Readonly<Record<string, unknown>>
  const known = CODES[String(type)] ?? CODES[String(name)] ?? networkCode({ code })
  if (known) return known
  if (cause && cause !== error) return codeOf(cause)
  if (/not authorized/i.test(said(error))) return 'no_permission'
  const inText = /\b(ECONNREFUSED|ECONNRESET|ENOTFOUND|ETIMEDOUT|EHOSTUNREACH)\b/.exec(said(error))?.[1]
  return inText ?? (/timeout/i.test(said(error)) ? 'timeout' : 'not_connected')
}
