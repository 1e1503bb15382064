import type { ModuleHook, ProbeResult } from '@afterspan/core/internal'
import { KnownClients } from '../known-clients.ts'
import { madeBy } from '../made-at.ts'
import type { FoundProbe } from '../registry.ts'
import { beforeDeadline, untilAborted } from '../until-aborted.ts'
import { ask, codeOf, isFatal, type Client, type Consumer } from './confluent-kafka-client.ts'
import { PositionWatch } from './confluent-kafka-consumer.ts'
import { follow } from './followed-call.ts'
import type { ConsumerOptions } from './kafka-consumer.ts'
import { judgeTopics, Reachable, said, sick, worse } from './kafka-topics.ts'

type Method = (this: Client, ...args: unknown[]) => unknown
type Prototype = Partial<Record<'connect' | 'pause' | 'produce' | 'resume', Method>>
interface State {
  readonly ref: WeakRef<Client>
  readonly reachable: Reachable
  /** To which it has produced. */
  readonly topics: Set<string>
  /** Of a consumer. */
  readonly watch: PositionWatch | undefined
  readonly made: Promise<void>
  readonly now: () => number
  wasOpen: boolean
  failedAt: number | undefined
  /** What librdkafka told last of its own accord, since the brokers answered last. */
  error: unknown
  readonly turns: Turns
  /** What is on its way: it is not asked a second time. */
  flight: Promise<ProbeResult> | undefined
  /** Since when the brokers have been asked. */
  askedAt: number | undefined
  /** Until then what they said last stands, where it is well. */
  restsUntil: number
  /** What they said last. */
  last: ProbeResult | undefined
  /** Topics that were not there when they were asked last. */
  missing: ReadonlySet<string>
}

/** Each question holds a thread of libuv's pool, of which an app has four, until a broker answers: one at a time, for all clients together. */
class Turns {
  #last: Promise<unknown> = Promise.resolve()

  take<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(work)
    this.#last = mine.catch(() => {})
    return mine
  }
}

const OWN_FRAMES = /[\\/]node_modules[\\/]@confluentinc[\\/]kafka-javascript[\\/]/
/** After a try that failed: then the app is taken to do without. */
const GIVEN_UP_MS = 60_000
const MOST_TOPICS = 50
/** What librdkafka takes where nothing is said. */
const REBALANCE_MS = 300_000
const FETCH_WAIT_MS = 500
/** So many times as long as an answer took it is not asked again, while all is well: a cluster may have thousands of topics. */
const RESTS = 10

/**
 * Finds producers and consumers as they connect. The promises and the callbacks of the library go by the same class, which librdkafka's own
 * clients are made of.
 */
export function confluentKafkaHook(
  add: (probe: FoundProbe, madeAt: string | undefined) => unknown,
  clock: { monotonicMs(): number },
  onRejected: (why: string) => void,
  options: ConsumerOptions,
): ModuleHook {
  const states = new WeakMap<object, State>()
  const known = new KnownClients<State>('clients of @confluentinc/kafka-javascript', isGone, onRejected)
  const now = (): number => clock.monotonicMs()
  const turns = new Turns()
  const onConnect = (client: Client, boundary: (...args: never[]) => unknown): void => {
    const old = states.get(client)
    if (old && !isGone(old)) return
    const state = newState(client, now, turns)
    states.set(client, state)
    if (!known.add(state)) return
    add(found(state, options), madeBy(boundary, OWN_FRAMES).at)
  }
  const onPause = (client: Client, [partitions]: readonly unknown[], isPaused: boolean): void =>
    states.get(client)?.watch?.pauses(partitions, isPaused)
  const onProduce = (client: Client, topic: unknown): void => {
    const topics = states.get(client)?.topics
    if (topics && topics.size < MOST_TOPICS) topics.add(String(topic))
  }
  return {
    name: '@confluentinc/kafka-javascript (health)',
    module: '@confluentinc/kafka-javascript',
    files: ['lib/client.js', 'lib/kafka-consumer.js', 'lib/producer.js'],
    versions: '>=1.0.0 <2',
    patch({ prototype }: { readonly prototype: Prototype }) {
      if (Object.hasOwn(prototype, 'connect'))
        follow<Client>(prototype, 'connect', (client, _args, self) => onConnect(client, self))
      if (Object.hasOwn(prototype, 'produce'))
        follow<Client>(prototype, 'produce', (client, [topic]) => onProduce(client, topic))
      for (const name of ['pause', 'resume'] as const)
        if (Object.hasOwn(prototype, name))
          follow<Client>(prototype, name, (client, args) => onPause(client, args, name === 'pause'))
    },
  }
}

function newState(client: Client, now: () => number, turns: Turns): State {
  const rebalanceMs = Number(client.globalConfig?.['max.poll.interval.ms'] ?? REBALANCE_MS)
  const watch = isConsumer(client) ? new PositionWatch(now, rebalanceMs) : undefined
  const { promise: made, resolve: setMade } = Promise.withResolvers<void>()
  client.once('ready', setMade)
  const state: State = {
    ref: new WeakRef(client),
    reachable: new Reachable(now),
    topics: new Set(),
    watch,
    made,
    now,
    wasOpen: false,
    failedAt: undefined,
    error: undefined,
    turns,
    flight: undefined,
    askedAt: undefined,
    restsUntil: 0,
    last: undefined,
    missing: new Set(),
  }
  client.on('event.error', (error) => {
    // That none is left is said last, and says the least.
    if (state.error === undefined || codeOf(error) !== 'not_connected') state.error = error
    if (isFatal(error)) watch?.fails()
  })
  return state
}

function isConsumer(client: Client): client is Consumer {
  return typeof (client as Partial<Consumer>).assignments === 'function'
}

function phaseOf(state: State): 'connecting' | 'open' | 'failed' | 'closed' {
  const client = state.ref.deref()
  if (!client || client._isDisconnecting) return 'closed'
  if (client._isConnecting) return 'connecting'
  if (!client._isConnected) return state.wasOpen ? 'closed' : 'failed'
  state.wasOpen = true
  return 'open'
}

function isGone(state: State): boolean {
  const phase = phaseOf(state)
  if (phase === 'failed') state.failedAt ??= state.now()
  return phase === 'closed' || (phase === 'failed' && state.now() - state.failedAt! > GIVEN_UP_MS)
}

function found(state: State, options: ConsumerOptions): FoundProbe {
  return {
    name: state.watch ? 'kafka-consumer' : 'kafka',
    component: 'kafka',
    criticality: 'required',
    isGone: () => isGone(state),
    seesWell() {
      const client = state.ref.deref()
      if (!client || !state.watch || phaseOf(state) !== 'open' || state.error !== undefined) return false
      return state.watch.seesWell(client as Consumer, options)
    },
    check: (signal) => check(state, signal, options),
  }
}

async function check(state: State, signal: AbortSignal, options: ConsumerOptions): Promise<ProbeResult> {
  const client = state.ref.deref()
  const phase = phaseOf(state)
  if (!client || phase === 'closed') return { status: 'pass' }
  if (phase === 'failed') return sick(codeOf(state.error), withWhy('the client could not connect', state))
  if (phase === 'connecting' && (await untilAborted(state.made, signal)) === 'late')
    return sick(codeOf(state.error), withWhy('the client has not connected yet', state))
  const brokers = await askBrokers(state, client, signal, options.timeoutMs)
  if (!state.watch || phaseOf(state) !== 'open') return brokers
  return worse(brokers, state.watch.judge(client as Consumer, options))
}

function withWhy(what: string, { error }: State): string {
  return error === undefined ? what : `${what}: ${said(error)}`
}

/** What was found last stands while it is not its turn, and while a broker may still hold the consumer's fetch, behind which the question waits. */
async function askBrokers(state: State, client: Client, signal: AbortSignal, timeoutMs: number): Promise<ProbeResult> {
  const heldMs = state.watch ? Number(client.globalConfig?.['fetch.wait.max.ms'] ?? FETCH_WAIT_MS) : 0
  const { last, restsUntil } = state
  if (last?.status === 'pass' && state.now() < restsUntil && state.error === undefined) return last
  state.flight ??= state.turns
    .take(() => askInTurn(state, heldMs + timeoutMs))
    .finally(() => (state.flight = undefined))
  const result = await untilAborted(state.flight, beforeDeadline(signal, timeoutMs))
  if (result !== 'late') return result
  const { askedAt } = state
  const isSilent = askedAt !== undefined && state.now() - askedAt > heldMs + timeoutMs / 2
  if (signal.aborted || isSilent) return sick('timeout', 'the brokers did not answer within the deadline')
  return state.last ?? { status: 'pass', observed: { checked: { value: 'waiting' } } }
}

async function askInTurn(state: State, timeoutMs: number): Promise<ProbeResult> {
  const { error: told, reachable, watch } = state
  const client = state.ref.deref()
  if (!client || phaseOf(state) !== 'open') return { status: 'pass' }
  state.askedAt = state.now()
  try {
    const given = { timeoutMs, isDoubtful: told !== undefined && !isFatal(told), topics: topicsOf(client, state) }
    const { missing, ...answer } = await ask(client, reachable, given)
    // A topic that is new is known before it is there.
    const isGone = missing.some((name) => state.missing.has(name))
    state.missing = new Set(missing)
    if (isGone) throw Object.assign(new Error('a topic of the app is not there, or may not be seen'), { code: 3 })
    state.last = judgeTopics(answer, watch ? 'consumer' : 'producer')
    if (state.last.status === 'pass' && state.error === told) state.error = undefined
  } catch (error) {
    state.last = refused(error, state)
  }
  state.restsUntil = state.now() + (state.now() - state.askedAt) * RESTS
  state.askedAt = undefined
  return state.last
}

function topicsOf(client: Client, { topics, watch }: State): ReadonlySet<string> {
  if (!watch) return topics
  const { assignments, subscription } = client as Consumer
  return new Set([...subscription.call(client), ...assignments.call(client).map(({ topic }) => topic)])
}

function refused(error: unknown, { error: told, watch }: State): ProbeResult {
  const code = codeOf(error)
  // It says only that nobody answered; what the client told of its own accord says why.
  const isVague = code === 'timeout' || code === 'connection_lost'
  const why = isVague && told !== undefined && codeOf(told) !== 'not_connected' ? told : error
  const result = sick(codeOf(why), said(why))
  // The next message may make it.
  return code === 'topic_gone' && !watch ? { ...result, status: 'warn' } : result
}
