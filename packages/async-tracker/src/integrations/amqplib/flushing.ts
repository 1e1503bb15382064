// A plain channel never says that the broker has a message. What can be known: whether its bytes have left this process, since
// then its death does not take them along; and, for a moment after, whether the broker closes the channel because of it.
import type { TaskId } from '@afterspan/core/internal'
import type { Channel, Connection } from './shapes.ts'

const SOONEST_MS = 2
const LATEST_MS = 100
/** An answer to a message takes a round trip; the connection of a slow broker some more. */
const RECENT_MS = 5_000
const MOST_RECENT = 256

interface Sent {
  readonly taskId: TaskId | undefined
  readonly exchange: string
}
interface Outgoing extends Sent {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}
interface ChannelState {
  outgoing: Outgoing[]
  recent: (Sent & { readonly at: number })[]
  isWatching: boolean
  /** By whom it is being closed. */
  closedBy?: 'app' | 'broker'
}
const states = new WeakMap<Channel, ChannelState>()
const channelsOf = new WeakMap<Connection, Set<Channel>>()

export function leaveProcess(channel: Channel, sent: Sent): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const state = stateOf(channel)
  state.outgoing.push({ ...sent, resolve, reject })
  if (!state.isWatching) watch(channel, state)
  return promise
}

function stateOf(channel: Channel): ChannelState {
  const known = states.get(channel)
  if (known) return known
  const state: ChannelState = { outgoing: [], recent: [], isWatching: false }
  states.set(channel, state)
  const channels = channelsOf.get(channel.connection) ?? new Set()
  channelsOf.set(channel.connection, channels.add(channel))
  return state
}

/** amqplib writes in the next turn of the event loop; a slow connection takes longer. */
function watch(channel: Channel, state: ChannelState): void {
  state.isWatching = true
  let waitMs = 0
  const look = (): void => {
    if (isFlushed(channel)) settle(state)
    if (state.outgoing.length === 0) {
      state.isWatching = false
      return
    }
    waitMs = Math.min(LATEST_MS, waitMs * 2 || SOONEST_MS)
    setTimeout(look, waitMs).unref()
  }
  setImmediate(() => setImmediate(look).unref()).unref()
}

function isFlushed({ connection, ch }: Channel): boolean {
  const { channels, muxer, stream } = connection
  const buffer = channels?.[ch]?.buffer
  if (buffer && buffer.readableLength + buffer.writableLength > 0) return false
  if (muxer && muxer.newStreams.length + muxer.oldStreams.length > 0) return false
  return !stream || (stream.writableLength === 0 && stream.destroyed !== true)
}

function settle(state: ChannelState): void {
  const at = performance.now()
  for (const { resolve, taskId, exchange } of state.outgoing) {
    resolve()
    state.recent.push({ taskId, exchange, at })
  }
  state.outgoing = []
  if (state.recent.length > MOST_RECENT) state.recent = state.recent.slice(-MOST_RECENT)
}

/** The app closes the channel, the broker does, or the app the connection: that overtakes what its channels have not written yet. */
export function noteClosing(channel: Channel, by: 'app' | 'broker'): void {
  const state = states.get(channel)
  if (state) state.closedBy ??= by
}
export function closeConnection(connection: Connection): void {
  for (const channel of channelsOf.get(connection) ?? []) settleOrReject(channel)
}

/** The channel is closed. By the app: then the broker has read all before its close. By anything else: what has not left by now never will. */
export function closeOutgoing(channel: Channel): void {
  const state = states.get(channel)
  if (!state) return
  channelsOf.get(channel.connection)?.delete(channel)
  const { stream } = channel.connection
  const isLost = stream?.destroyed === true || stream?.readableEnded === true
  if (state.closedBy === 'app' && !isLost) settle(state)
  settleOrReject(channel)
}

function settleOrReject(channel: Channel): void {
  const state = states.get(channel)
  if (!state) return
  if (isFlushed(channel)) settle(state)
  for (const { reject } of state.outgoing) reject(new Error('closed before the message was written'))
  state.outgoing = []
}

/**
 * The broker refused a message and closed the channel: that message and all after it are dropped, those before it were read.
 * Gives those that count as sent already.
 */
export function refuse(channel: Channel, message: string): readonly TaskId[] {
  const state = states.get(channel)
  if (!state) return []
  const [, exchange] = /exchange '([^']*)'/.exec(message) ?? []
  const isRefused = (sent: Sent): boolean => sent.exchange === exchange
  const since = performance.now() - RECENT_MS
  const recent = state.recent.filter(({ at }) => at >= since)
  const first = recent.findIndex(isRefused)
  const firstOutgoing = first < 0 ? state.outgoing.findIndex(isRefused) : 0
  if (firstOutgoing < 0) return []
  const dropped = state.outgoing.slice(firstOutgoing)
  state.outgoing.length = firstOutgoing
  settle(state)
  for (const { reject } of dropped) reject(new Error(message))
  return first < 0 ? [] : recent.slice(first).flatMap(({ taskId }) => taskId ?? [])
}
