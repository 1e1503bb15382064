// What is known of one connection of the app, and of those that take its place: an app that lost its connection makes another one.
import type { FoundProbe } from '../registry.ts'

/** Of amqplib; both of its faces stand on these. */
export interface Connection {
  readonly channels?: readonly ({ readonly channel: Channel } | null)[]
  on(event: string, listener: (...args: unknown[]) => void): unknown
}
export interface Channel {
  readonly connection: Connection
  /** Of a confirm channel: what the server has not confirmed yet, and the number of the first of it. */
  readonly unconfirmed?: readonly unknown[]
  readonly lwm?: number
  allocate(): unknown
  on(event: string, listener: (...args: unknown[]) => void): unknown
  _rpc(method: number, fields: Fields, expect: number, done: Done): unknown
}
export type Fields = Readonly<Record<string, unknown>>
/** The error, or the frame with which the server closed the channel instead of an answer. */
export type Done = (error: unknown, frame?: { readonly fields: Fields }) => unknown
export type ChannelClass = new (connection: Connection) => Channel

/** A queue that the app consumes, or has declared. */
export interface Queue {
  /** Tags of its consumers on this connection, with their channels. */
  readonly consumers: Map<string, Channel>
  /** Messages that they were given. */
  delivered: number
  /** What was known when somebody looked last, and since when nothing has moved while messages wait. */
  deliveredThen: number
  idleSince: number
  /** Nobody of this connection consumes it any more, and that was not the app's wish. */
  lost: { readonly by: 'cancel' | 'channel' | 'connection'; readonly at: number; readonly reply?: number } | undefined
}

export interface Client {
  readonly probe: FoundProbe
  readonly madeAt: string | undefined
  phase: 'connecting' | 'open' | 'lost' | 'closed'
  ref: WeakRef<Connection> | undefined
  /** It has connected, or could not. */
  made: PromiseWithResolvers<void>
  /** amqplib connects again by itself. */
  isRecovering: boolean
  hasBeenOpen: boolean
  /** With which it was lost, or the last try failed, and when. */
  error: unknown
  /** Why the server takes no messages, in its own words, as long as it takes none. */
  blockedBy: string | undefined
  lostAt: number
  openedAt: number
  readonly queues: Map<string, Queue>
  /** Queues that end with the connection or its consumers. */
  readonly temporary: Set<string>
  /** Of the probe's own, on the app's connection: a queue that is not there closes the channel that asks for it. */
  channel: Channel | undefined
  flight: Promise<unknown> | undefined
  /** Where the confirms of a channel stood when somebody looked last. */
  readonly confirms: WeakMap<Channel, { readonly lwm: number; readonly since: number }>
  /** Messages given and confirmed, as of the last look. */
  movedThen: number
}

/** More are not followed: one question for each would be too many. */
const MOST_QUEUES = 20
const MOST_TEMPORARY = 200
/** After a try that failed, where there was no connection yet: then the app is taken to do without. */
const GIVEN_UP_MS = 60_000

const tagsOf = new WeakMap<Channel, Map<string, Queue>>()

export function newClient(probe: FoundProbe, madeAt: string | undefined): Client {
  return {
    probe,
    madeAt,
    phase: 'connecting',
    ref: undefined,
    made: Promise.withResolvers(),
    isRecovering: false,
    hasBeenOpen: false,
    error: undefined,
    blockedBy: undefined,
    lostAt: 0,
    openedAt: 0,
    queues: new Map(),
    temporary: new Set(),
    channel: undefined,
    flight: undefined,
    confirms: new WeakMap(),
    movedThen: 0,
  }
}

export function isGone(client: Client, now: number): boolean {
  const { phase, ref, hasBeenOpen, isRecovering, lostAt } = client
  if (phase === 'open') return ref?.deref() === undefined
  return phase === 'closed' || (phase === 'lost' && !hasBeenOpen && !isRecovering && now - lostAt > GIVEN_UP_MS)
}

export function opened(client: Client, connection: Connection, now: number): void {
  client.ref = new WeakRef(connection)
  client.phase = 'open'
  client.hasBeenOpen = true
  client.openedAt = now
  client.error = undefined
  client.blockedBy = undefined
  client.channel = undefined
  client.flight = undefined
  client.made.resolve()
}

/** `error` is undefined where the app itself has closed it. */
export function closed(client: Client, error: unknown, now: number): void {
  client.phase = error === undefined ? 'closed' : 'lost'
  client.error = error
  client.lostAt = now
  client.ref = undefined
  client.channel = undefined
  client.made.resolve()
  for (const [name, queue] of client.queues) {
    if (queue.consumers.size > 0) queue.lost = { by: 'connection', at: now }
    queue.consumers.clear()
    if (client.phase === 'closed' || client.temporary.has(name) || isNamedByServer(name)) client.queues.delete(name)
  }
  client.temporary.clear()
}

export function declared(client: Client, { queue, exclusive, autoDelete, passive, arguments: more }: Fields): void {
  // Those that end by themselves, or that the app has only asked for.
  if (passive || typeof queue !== 'string' || queue === '') return
  const isTemporary = exclusive || autoDelete || (more as Fields | undefined)?.['x-expires'] !== undefined
  if (!isTemporary) follow(client, queue)
  else if (client.temporary.size < MOST_TEMPORARY) client.temporary.add(queue)
}

export function consumed(client: Client, channel: Channel, name: string, tag: string, now: number): void {
  const queue = follow(client, name)
  if (!queue) return
  queue.consumers.set(tag, channel)
  let tags = tagsOf.get(channel)
  if (!tags) tagsOf.set(channel, (tags = new Map()))
  tags.set(tag, queue)
  queue.lost = undefined
  queue.idleSince = now
  if (!isNamedByServer(name)) return
  // Its new name is another one.
  for (const [other, { lost }] of client.queues) if (lost && isNamedByServer(other)) client.queues.delete(other)
}

/** `by` is undefined where it was the app's wish; `reply`: the number with which the broker has closed the channel. */
export function ended(
  client: Client,
  channel: Channel,
  tag: string | undefined,
  by: 'cancel' | 'channel' | undefined,
  now: number,
  reply?: number,
): void {
  for (const queue of client.queues.values())
    for (const [known, its] of queue.consumers) {
      if (its !== channel || (tag !== undefined && known !== tag)) continue
      queue.consumers.delete(known)
      tagsOf.get(channel)?.delete(known)
      if (by) queue.lost ??= { by, at: now, ...(reply === undefined ? {} : { reply }) }
    }
}

/** Called for each message. */
export function given(channel: Channel, tag: unknown): void {
  const queue = tagsOf.get(channel)?.get(tag as string)
  if (queue) queue.delivered++
}

/** What the server has shown on this connection: messages that it gave, and that it confirmed. */
export function moved({ queues, ref }: Client): number {
  let all = 0
  for (const { delivered } of queues.values()) all += delivered
  for (const { lwm = 0 } of channelsOf(ref?.deref())) all += lwm
  return all
}

export function channelsOf(connection: Connection | undefined): Channel[] {
  return (connection?.channels ?? []).flatMap((each) => (each?.channel ? [each.channel] : []))
}

function follow(client: Client, name: string): Queue | undefined {
  let queue = client.queues.get(name)
  if (queue || client.queues.size >= MOST_QUEUES) return queue
  queue = { consumers: new Map(), delivered: 0, deliveredThen: 0, idleSince: 0, lost: undefined }
  client.queues.set(name, queue)
  return queue
}

function isNamedByServer(name: string): boolean {
  return name.startsWith('amq.gen-')
}
