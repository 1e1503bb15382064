// What a connection to RabbitMQ is asked, on a channel of the probe's own, and what follows from the answers.
import type { ProbeResult } from '@afterspan/core/internal'
import { networkCode } from '../codes.ts'
import { scrub } from '../scrub.ts'
import { untilAborted } from '../until-aborted.ts'
import {
  channelsOf,
  moved,
  type Channel,
  type ChannelClass,
  type Client,
  type Connection,
  type Fields,
  type Queue,
} from './amqplib-client.ts'

export interface CheckOptions {
  /** A consumer that was given nothing for so long, while messages wait, is stuck. */
  readonly stuckMs: number
  /** What that is. */
  readonly stuckStatus: 'warn' | 'fail'
  /** A restart helps where the broker and the queue are there, and the app's consumer has been away for so long. */
  readonly deadMs: number
  /** The time that an app has to consume again after it has connected again. */
  readonly againMs: number
}
export interface Asking {
  readonly options: CheckOptions
  now(): number
  channelClass(): ChannelClass | undefined
}
type Observed = NonNullable<ProbeResult['observed']>

/** Methods of AMQP, whose numbers the protocol has fixed. */
const OPEN_CHANNEL = 1310730
const DECLARE_QUEUE = 3276810
const DECLARE_EXCHANGE = 2621450
/** Each virtual host has this one. */
const EXCHANGE = 'amq.direct'
const NOT_FOUND = 404
const CONFIRM_MS = 10_000
/** An app whose consumer was taken may take so long until it consumes again. */
const AGAIN_MS = 1500

export interface QueueAnswer {
  readonly messages: number
  readonly consumers: number
}
export interface Answer {
  readonly roundTripMs: number
  /** 'gone': there is no such queue. Those that could not be asked are missing. */
  readonly queues: ReadonlyMap<string, QueueAnswer | 'gone'>
}

/** Whether messages or confirms have come from the server since this was asked last, and nothing is known that is not well. */
export function seesWell(client: Client): boolean {
  const now = moved(client)
  const hasMoved = now > client.movedThen
  client.movedThen = now
  if (!hasMoved || client.phase !== 'open' || client.blockedBy !== undefined) return false
  return [...client.queues.values()].every(({ lost }) => !lost)
}

export async function check(client: Client, signal: AbortSignal, asking: Asking): Promise<ProbeResult> {
  // One that is about to be is waited for.
  if (client.phase === 'connecting' && (await untilAborted(client.made.promise, signal)) === 'late')
    return sick('not_connected', 'the client has not connected yet')
  if (client.phase === 'lost') return lost(client)
  const connection = client.ref?.deref()
  if (client.phase !== 'open' || !connection) return { status: 'pass' }
  // It reads nothing more from this connection: a question would wait too.
  if (client.blockedBy !== undefined) return sick('blocked', `the broker takes no messages: ${scrub(client.blockedBy)}`)
  const { options, now } = asking
  try {
    if (!client.flight) {
      const flight = ask(client, connection, asking)
      client.flight = flight
      const land = (): void => {
        if (client.flight === flight) client.flight = undefined
      }
      flight.then(land, land)
    }
    const answer = await untilAborted(client.flight as Promise<Answer>, signal)
    if (answer === 'late') return sick('timeout', 'the broker did not answer within the deadline')
    return judge(client, answer, overdueConfirms(client, connection, now()), now(), options)
  } catch (error) {
    // It ended while it was asked; why, its own end says better.
    if ((client.phase as Client['phase']) === 'lost') return lost(client)
    if (/No channels left/.test(messageOf(error)))
      return { ...sick('channels_exhausted', 'the app has used up all channels of its connection'), status: 'warn' }
    return sick(networkCode(error) ?? 'connection_lost', scrub(messageOf(error)))
  }
}

/** Asks for the queues that the app uses; where there are none, for an exchange that is always there. */
async function ask(client: Client, connection: Connection, asking: Asking): Promise<Answer> {
  const startedAt = performance.now()
  const queues = new Map<string, QueueAnswer | 'gone'>()
  if (client.queues.size === 0)
    await call(await channelOf(client, connection, asking), DECLARE_EXCHANGE, passive({ exchange: EXCHANGE, type: '' }))
  for (const queue of client.queues.keys())
    try {
      const { messageCount, consumerCount } = await call(
        await channelOf(client, connection, asking),
        DECLARE_QUEUE,
        passive({ queue, exclusive: false }),
      )
      queues.set(queue, { messages: Number(messageCount), consumers: Number(consumerCount) })
    } catch (error) {
      // With this answer the server has closed the channel, which is no one else's.
      client.channel = undefined
      const { code } = error as { code?: unknown }
      if (code === NOT_FOUND) queues.set(queue, 'gone')
      else if (typeof code !== 'number') throw error
    }
  return { roundTripMs: Math.round((performance.now() - startedAt) * 10) / 10, queues }
}

function passive(of: Fields): Fields {
  return { ...of, passive: true, nowait: false, durable: true, autoDelete: false, internal: false, ticket: 0 }
}

async function channelOf(client: Client, connection: Connection, { channelClass }: Asking): Promise<Channel> {
  if (client.channel) return client.channel
  const Class = channelClass()
  if (!Class) throw new Error('this amqplib has no channels')
  const channel = new Class(connection)
  // Nobody else would hear of it, and an error that nobody hears is an uncaught one.
  channel.on('error', () => {})
  channel.on('close', () => {
    if (client.channel === channel) client.channel = undefined
  })
  channel.allocate()
  client.channel = channel
  await call(channel, OPEN_CHANNEL, { outOfBand: '' })
  return channel
}

/** The number of an answer follows that of its question. */
function call(channel: Channel, method: number, fields: Fields): Promise<Fields> {
  return new Promise((resolve, reject) => {
    channel._rpc(method, fields, method + 1, (error, frame) => {
      if (error || !frame) reject((error ?? new Error('no answer')) as Error)
      else resolve(frame.fields)
    })
  })
}

/** How long the oldest message has waited for its confirm, as far as was looked. */
function overdueConfirms({ confirms }: Client, connection: Connection, now: number): number {
  let most = 0
  for (const channel of channelsOf(connection)) {
    const { unconfirmed = [], lwm = 0 } = channel
    const known = confirms.get(channel)
    if (unconfirmed.length === 0) confirms.delete(channel)
    else if (known?.lwm === lwm) most = Math.max(most, now - known.since)
    else confirms.set(channel, { lwm, since: now })
  }
  return most
}

/** Pure, but that it notes what the consumers were given until now. */
export function judge(
  client: Client,
  { roundTripMs, queues }: Answer,
  unconfirmedMs: number,
  now: number,
  options: CheckOptions,
): ProbeResult {
  const found: ProbeResult[] = []
  let waiting = 0
  for (const [name, queue] of client.queues) {
    const answer = queues.get(name)
    if (answer === undefined) continue
    if (answer !== 'gone') waiting += answer.messages
    const result = judgeQueue(client, queue, answer, now, options)
    if (result) found.push({ ...result, observed: { ...result.observed, queue: { value: name, unit: 'queue' } } })
  }
  const observed: Observed = {
    roundTrip: { value: roundTripMs, unit: 'ms' },
    ...(queues.size > 0 ? { waiting: { value: waiting, unit: 'count' } } : {}),
    ...(unconfirmedMs > 0 ? { unconfirmedFor: { value: Math.round(unconfirmedMs), unit: 'ms' } } : {}),
  }
  if (unconfirmedMs > CONFIRM_MS)
    found.push(sick('confirms_overdue', 'the broker answers, and does not confirm what the app has sent'))
  const worst = found.find(({ status }) => status === 'fail') ?? found[0]
  return worst ? { ...worst, observed: { ...observed, ...worst.observed } } : { status: 'pass', observed }
}

function judgeQueue(
  client: Client,
  queue: Queue,
  answer: QueueAnswer | 'gone',
  now: number,
  { stuckMs, stuckStatus, deadMs, againMs }: CheckOptions,
): ProbeResult | undefined {
  const { consumers, lost } = queue
  if (answer === 'gone') {
    if (consumers.size > 0 || lost) return sick('queue_gone', 'the queue that the app consumes is not there any more')
    return { ...sick('queue_gone', 'a queue that the app has declared is not there any more'), status: 'warn' }
  }
  if (lost) {
    const { by, at } = lost
    const since = by === 'connection' ? Math.max(at, client.openedAt) : at
    if (now - since < (by === 'connection' ? againMs : AGAIN_MS)) return undefined
    // It may have been meant so: others do the work.
    if (by === 'connection' && answer.consumers > 0) return undefined
    const { reply } = lost
    const observed: Observed = {
      for: { value: Math.round(now - at), unit: 'ms' },
      ...(reply === undefined ? {} : { reply: { value: reply, unit: 'AMQP reply code' } }),
    }
    if (REFUSED.has(reply)) return { status: 'fail', ...LOST[by], cause: 'dependency', observed }
    const cause = now - since > deadMs ? 'self_wedged' : 'self_recoverable'
    return { status: 'fail', ...LOST[by], cause, observed }
  }
  if (consumers.size === 0 || answer.messages === 0 || queue.delivered !== queue.deliveredThen) {
    queue.deliveredThen = queue.delivered
    queue.idleSince = now
    return undefined
  }
  // One that was never given anything may be the second of a queue that has one consumer at a time.
  const idleMs = now - queue.idleSince
  if (queue.delivered === 0 || idleMs < stuckMs) return undefined
  return {
    status: stuckStatus,
    code: 'consumer_stuck',
    cause: 'self_recoverable',
    reason: 'messages wait, and the consumer takes none: what it was given has not been acknowledged',
    observed: { idle: { value: Math.round(idleMs), unit: 'ms' } },
  }
}

/** Access refused, not found, locked by another: the same would be said to a process that has just begun. */
const REFUSED: ReadonlySet<number | undefined> = new Set([403, 404, 405])
const LOST = {
  cancel: { code: 'consumer_cancelled', reason: 'the broker has cancelled the consumer, and nobody consumes again' },
  channel: {
    code: 'channel_closed',
    reason: 'the broker has closed the channel of the consumer, and nobody consumes again',
  },
  connection: { code: 'consumer_gone', reason: 'the app has connected again, and does not consume again' },
} as const

function lost({ error, hasBeenOpen }: Client): ProbeResult {
  const message = messageOf(error)
  const code = /Heartbeat timeout/.test(message)
    ? 'heartbeat_missed'
    : /ACCESS[_-]REFUSED|403/.test(message)
      ? 'auth_failed'
      : (networkCode(error) ?? (hasBeenOpen ? 'connection_lost' : 'not_connected'))
  return sick(code, `${hasBeenOpen ? 'the connection is lost' : 'the client could not connect'}: ${scrub(message)}`)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function sick(code: string, reason: string): ProbeResult {
  return { status: 'fail', code, cause: 'dependency', reason }
}
