// What is asked over the app's own connection to NATS, and what follows from the answers.
import type { ProbeResult } from '@afterspan/core/internal'
import { networkCode } from '../codes.ts'
import { withRefusal } from '../refusals.ts'
import { scrub } from '../scrub.ts'
import { untilAborted } from '../until-aborted.ts'
import type { JetStreamAnswer } from './jetstream-answer.ts'
import type { Answer, NatsConnection, State } from './nats-client.ts'
import type { Consumption, ConsumptionOptions } from './nats-consumption.ts'
import { isNoResponders } from './nats-refusal.ts'

type Observed = NonNullable<ProbeResult['observed']>
export interface NatsOptions extends ConsumptionOptions {
  /** What streams refuse to the app counts. */
  readonly isPassive: boolean
}

const REQUEST_MS = 5000
const NEAR_LIMIT = 0.95

export async function check(
  state: State,
  signal: AbortSignal,
  options: ConsumptionOptions,
  now: number,
): Promise<ProbeResult> {
  // One that is about to be is waited for.
  if (state.phase === 'connecting' && (await untilAborted(state.made, signal)) === 'late')
    return sick('not_connected', 'the client has not connected yet')
  if (state.phase === 'ended') return sick(...ended(state.error))
  const connection = state.ref?.deref()
  if (!connection || connection.isClosed()) return { status: 'pass' }
  // It ends, by the app's wish, and takes no more questions.
  if (connection.isDraining()) return { status: 'pass', observed: { checked: { value: 'status' } } }
  if (connection.protocol?.connected === false)
    return withoutServer(state, sick('not_connected', 'the client is not connected, and tries again'))
  try {
    state.flight ??= ask(connection, state).finally(() => (state.flight = undefined))
    const answer = await untilAborted(state.flight, signal)
    if (answer === 'late') return withoutServer(state, sick('timeout', 'the server did not answer within the deadline'))
    return leaving(connection, withRefusal(judge(answer, state, options), state.refusals.lately(now), true))
  } catch (error) {
    return sick(refusalCode(error), scrub(messageOf(error)))
  }
}

/** That it has confirmed nothing meanwhile says no more, and nothing once it is back. */
function withoutServer({ refusals }: State, result: ProbeResult): ProbeResult {
  refusals.forget()
  return result
}

/** Its server is in lame duck mode: it lets go of its clients one after the other. */
function leaving({ info }: NatsConnection, result: ProbeResult): ProbeResult {
  if (result.status !== 'pass' || info?.ldm !== true) return result
  const reason = 'the server is about to shut down, and the client has not gone to another one yet'
  return { ...result, status: 'warn', code: 'server_leaving', cause: 'dependency', reason }
}

/** PING and PONG, what the app itself asks of JetStream, and the consumers of which it takes messages. */
async function ask(connection: NatsConnection, state: State): Promise<Answer> {
  const startedAt = performance.now()
  await connection.flush()
  const roundTripMs = Math.round((performance.now() - startedAt) * 10) / 10
  const questions = new Set(named(state).map(({ question }) => question))
  const other = state.question ?? state.account
  if (other !== undefined) questions.add(other)
  const answers = [...questions].map(async (question) => [question, await askJetStream(connection, question)] as const)
  return { roundTripMs, jetstream: new Map(await Promise.all(answers)) }
}

function named({ consumptions }: State): readonly Consumption[] {
  return [...consumptions].filter(({ isNamed, isBroken }) => isNamed || isBroken)
}

async function askJetStream(connection: NatsConnection, question: string): Promise<JetStreamAnswer> {
  try {
    const { data } = await connection.request(question, undefined, { timeout: REQUEST_MS })
    return JSON.parse(Buffer.from(data).toString()) as JetStreamAnswer
  } catch (error) {
    // Nobody is there who would answer.
    if (isNoResponders(error)) return { error: { code: 503, description: 'no responders' } }
    throw error
  }
}

function judge({ roundTripMs, jetstream }: Answer, state: State, options: ConsumptionOptions): ProbeResult {
  const observed: Record<string, Observed[string]> = { roundTrip: { value: roundTripMs, unit: 'ms' } }
  let worst: ProbeResult = { status: 'pass' }
  for (const [question, answer] of jetstream) {
    Object.assign(observed, observedOf(answer))
    worst = worse(worst, judgeAnswer(question, answer, state))
  }
  for (const each of named(state)) worst = worse(worst, each.judge(jetstream.get(each.question) ?? {}, options))
  return { ...worst, observed }
}

const RANK = { pass: 0, warn: 1, fail: 2 }
function worse(one: ProbeResult, other: ProbeResult): ProbeResult {
  return RANK[other.status] > RANK[one.status] ? other : one
}

function judgeAnswer(question: string, answer: JetStreamAnswer, state: State): ProbeResult {
  const { error } = answer
  // The stream or consumer is no longer there: maybe as it should be, and no sign of the server's health.
  if (error?.code === 404 && state.question === question) state.question = undefined
  if (error && error.code !== 404) return sick('jetstream_unavailable', scrub(error.description ?? 'JetStream refuses'))
  if (isNear(answer.storage, answer.limits?.max_storage))
    return nearLimit('the account has nearly used up its storage: streams will refuse messages')
  const { config, state: held } = answer
  const isFull = isNear(held?.bytes, config?.max_bytes) || isNear(held?.messages, config?.max_msgs)
  if (config?.discard === 'new' && isFull) return nearLimit('the stream is nearly full, and will refuse messages')
  return { status: 'pass' }
}

function isNear(used: number | undefined, most: number | undefined): boolean {
  return used !== undefined && most !== undefined && most > 0 && used >= most * NEAR_LIMIT
}

function nearLimit(reason: string): ProbeResult {
  return { status: 'warn', code: 'storage_near_limit', cause: 'dependency', reason }
}

function observedOf(answer: JetStreamAnswer): Observed {
  const { limits, num_ack_pending, num_pending, num_redelivered, storage, state } = answer
  const counts = {
    ackPending: num_ack_pending,
    messages: state?.messages,
    pending: num_pending,
    redelivered: num_redelivered,
  }
  const observed: Record<string, Observed[string]> = {}
  for (const [name, value] of Object.entries(counts))
    if (typeof value === 'number') observed[name] = { value, unit: 'count' }
  const most = limits?.max_storage ?? 0
  if (most <= 0 || storage === undefined) return observed
  return { ...observed, storage: { value: storage, unit: 'By' }, maxStorage: { value: most, unit: 'By' } }
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

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : ''
}

function sick(code: string, reason: string): ProbeResult {
  return { status: 'fail', code, cause: 'dependency', reason }
}
