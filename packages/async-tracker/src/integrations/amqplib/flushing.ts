// A plain channel never says that the broker has a message. What can be known: whether its bytes have left this process, since
// then its death does not take them along; and, for a moment after, whether the broker closes the channel because of it.
import type { TaskId } from '@afterspan/core/internal'
import type { Channel } from './shapes.ts'

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
}
const states = new WeakMap<Channel, ChannelState>()

export function leaveProcess(channel: Channel, sent: Sent): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let state = states.get(channel)
  if (!state) states.set(channel, (state = { outgoing: [], recent: [], isWatching: false }))
  state.outgoing.push({ ...sent, resolve, reject })
  if (!state.isWatching) watch(channel, state)
  return promise
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

/** The channel is closed: what has not left by now never will. */
export function closeOutgoing(channel: Channel): void {
  const state = states.get(channel)
  if (!state) return
  if (isFlushed(channel)) settle(state)
  for (const { reject } of state.outgoing) reject(new Error('channel closed'))
  state.outgoing = []
}

/** The broker refused a message and closed the channel: that message and all after it are dropped. */
export function refusedBy(channel: Channel, message: string): readonly TaskId[] {
  const [, exchange] = /exchange '([^']*)'/.exec(message) ?? []
  const since = performance.now() - RECENT_MS
  const recent = states.get(channel)?.recent.filter(({ at }) => at >= since) ?? []
  const first = recent.findIndex((sent) => sent.exchange === exchange)
  return first < 0 ? [] : recent.slice(first).flatMap(({ taskId }) => taskId ?? [])
}
