import { subscribe } from 'node:diagnostics_channel'
import type { ModuleHook, ProbeResult } from '@afterspan/core/internal'
import { networkCode } from '../codes.ts'
import { KnownClients } from '../known-clients.ts'
import { madeBy } from '../made-at.ts'
import type { FoundProbe } from '../registry.ts'
import { beforeDeadline, untilAborted } from '../until-aborted.ts'
import { JOINING_MS, type ConsumerOptions } from './kafka-consumer.ts'
import { Sending } from './kafka-sending.ts'
import { judgeTopics, PROTOCOL_CODES, said, sick, worse, type TopicsAnswer } from './kafka-topics.ts'
import { Asking, MOST_TOPICS, type Apis, type Client } from './platformatic-kafka-ask.ts'
import { StreamsWatch, type Consumer, type GroupOptions, type MessagesStream } from './platformatic-kafka-consumer.ts'

/** What the channels of the library say. */
interface Made {
  readonly type: string
  readonly instance: unknown
}
interface OfGroup {
  readonly client: unknown
  readonly operation: string
  readonly options?: GroupOptions
}
interface Sent {
  readonly client: unknown
  readonly operation: string
  readonly options?: { readonly messages?: readonly { readonly topic?: unknown }[] }
  readonly error?: unknown
}
interface State {
  readonly ref: WeakRef<Client>
  readonly asking: Asking
  /** Of a consumer. */
  readonly watch: StreamsWatch | undefined
  readonly sending: Sending
  /** A producer's, which the client itself forgets when what it knows turns out to be old. */
  readonly topics: Set<string>
  /** What is on its way: it is not asked a second time. */
  flight: Promise<TopicsAnswer> | undefined
}

const INSTANCES = 'plt:kafka:instances'
const GROUP = 'tracing:plt:kafka:consumer:group:start'
/** With its error, where it has one. */
const SENT = 'tracing:plt:kafka:producer:sends:asyncEnd'
const OWN_FRAMES = /[\\/]node_modules[\\/](?:@platformatic[\\/]kafka|platformatic-kafka[^\\/]*)[\\/]/

/**
 * Finds producers and consumers as they are made, by the library's own channel, and asks each from its first use on: one that the app never
 * uses has no connection, and the probe's would keep a process alive.
 */
export function platformaticKafkaHook(
  add: (probe: FoundProbe, madeAt: string | undefined) => unknown,
  clock: { monotonicMs(): number },
  onRejected: (why: string) => void,
  options: ConsumerOptions,
): ModuleHook {
  const states = new WeakMap<object, State>()
  const known = new KnownClients<State>('clients of @platformatic/kafka', isGone, onRejected)
  const now = (): number => clock.monotonicMs()
  let isListening = false
  const follow = (type: string, client: Client, apis: Apis, madeAt: string | undefined): void => {
    const state = newState(type, client, new Asking(apis, now), now)
    states.set(client, state)
    client.once('client:performWithRetry', () => {
      if (known.add(state)) add(found(state, options), madeAt)
    })
  }
  const onMade = ({ type, instance }: Made, apis: Apis, boundary: (...args: never[]) => unknown): void => {
    if (type === 'messages-stream') {
      const stream = instance as MessagesStream
      states.get(stream.consumer as object)?.watch?.reads(stream)
    } else if (type === 'producer' || type === 'consumer') {
      follow(type, instance as Client, apis, madeBy(boundary, OWN_FRAMES).at)
    }
  }
  return {
    name: '@platformatic/kafka (health)',
    module: '@platformatic/kafka',
    versions: '>=2.2.3 <3',
    patch(apis: Apis) {
      // import and require may both bring the library, and its channels are the same.
      if (isListening) return
      isListening = true
      listen<Made>(INSTANCES, (made, boundary) => onMade(made, apis, boundary))
      listen<Sent>(SENT, ({ client, error, options: given }) => {
        const topic = String(given?.messages?.[0]?.topic)
        states.get(client as object)?.sending.ended(topic, error ? codeOf(error) : undefined)
      })
      listen<OfGroup>(GROUP, ({ client, operation, options: given }) => {
        if (operation === 'joinGroup') states.get(client as object)?.watch?.joins(given ?? {})
      })
    },
  }
}

/** A subscriber that throws would be an uncaught error of the app. */
function listen<Told>(channel: string, then: (told: Told, boundary: (...args: never[]) => unknown) => void): void {
  const onTold = (told: unknown): void => {
    try {
      then(told as Told, onTold)
    } catch {
      // the app gets its client, whatever becomes of the probe
    }
  }
  subscribe(channel, onTold)
}

function newState(type: string, client: Client, asking: Asking, now: () => number): State {
  const watch = type === 'consumer' ? new StreamsWatch(now, (error) => codeOf(error) === 'no_permission') : undefined
  watch?.follow(client as Consumer)
  return { ref: new WeakRef(client), asking, watch, sending: new Sending(now), topics: new Set(), flight: undefined }
}

function isGone({ ref }: State): boolean {
  return ref.deref()?.closed !== false
}

function found(state: State, options: ConsumerOptions): FoundProbe {
  return {
    name: state.watch ? 'kafka-consumer' : 'kafka',
    component: 'kafka',
    criticality: 'required',
    isGone: () => isGone(state),
    seesWell() {
      const client = state.ref.deref()
      return client !== undefined && state.watch?.seesWell(client as Consumer, options) === true
    },
    check: (signal) => check(state, signal, options),
  }
}

async function check(state: State, signal: AbortSignal, options: ConsumerOptions): Promise<ProbeResult> {
  const client = state.ref.deref()
  if (!client || client.closed) return { status: 'pass' }
  const brokers = await askBrokers(state, client, signal, options.timeoutMs)
  if (state.watch) return worse(brokers, state.watch.judge(client as Consumer, options))
  return options.passive === false ? brokers : state.sending.judge(brokers)
}

async function askBrokers(state: State, client: Client, signal: AbortSignal, timeoutMs: number): Promise<ProbeResult> {
  const { watch } = state
  try {
    state.flight ??= ask(state, client).finally(() => (state.flight = undefined))
    // Its question waits behind the one that joins.
    const isJoining = watch?.isJoining(JOINING_MS) === true
    const answer = await untilAborted(state.flight, isJoining ? beforeDeadline(signal, timeoutMs) : signal)
    if (answer !== 'late') return judgeTopics(answer, watch ? 'consumer' : 'producer')
    if (isJoining) return { status: 'pass', observed: { checked: { value: 'joining' } } }
    return sick('timeout', 'the brokers did not answer within the deadline')
  } catch (error) {
    const code = codeOf(error)
    const result = sick(code, said(error))
    // The next message may make it.
    return code === 'topic_gone' && !watch ? { ...result, status: 'warn' } : result
  }
}

async function ask({ asking, watch, topics }: State, client: Client): Promise<TopicsAnswer> {
  if (watch) {
    const consumer = client as Consumer
    const answer = await asking.ask(client, consumer.topics.current)
    await watch.askLag(consumer)
    return answer
  }
  for (const topic of client.currentMetadata?.topics.keys() ?? []) if (topics.size < MOST_TOPICS) topics.add(topic)
  return asking.ask(client, topics)
}

/** Of the protocol's names for its errors. */
const CODES: Readonly<Record<string, string>> = {
  ...PROTOCOL_CODES,
  PLT_KFK_AUTHENTICATION: 'auth_failed',
  PLT_KFK_TIMEOUT: 'timeout',
}

function codeOf(error: unknown): string {
  return specificCode(error, 5) ?? 'not_connected'
}

/** Errors of it have others in them, of which the innermost knows best. */
function specificCode(error: unknown, depth: number): string | undefined {
  if (depth === 0 || typeof error !== 'object' || error === null) return undefined
  const { apiId, code, cause, errors, message } = error as Readonly<Record<string, unknown>>
  for (const inner of [cause, ...(Array.isArray(errors) ? errors : [])]) {
    const known = specificCode(inner, depth - 1)
    if (known) return known
  }
  if (String(message).startsWith('Unknown topic ')) return 'topic_gone'
  if (code === 'PLT_KFK_NETWORK' && /clos/i.test(String(message))) return 'connection_lost'
  return CODES[String(apiId)] ?? CODES[String(code)] ?? networkCode(error)
}
