// Entries that are gone before any group had them, by whoever's hand: XTRIM, MAXLEN, DEL, FLUSHALL, a Redis that was restarted and had
// kept nothing. Redis tells nobody, so it is asked now and then while entries of this process wait.
import type { TaskKit } from '@afterspan/core/internal'
import { Lookout, PACE, type Pace } from '../sending/lookout.ts'
import type { Asking, StreamState } from './asking.ts'
import type { NotDelivered } from './not-delivered.ts'
import type { Client } from './shapes.ts'
import { isBefore, type Delivered } from './words.ts'

const MOST_WATCHED = 50
/** Of one stream, the newest. */
const MOST_IDS = 5_000

export interface Vanishing {
  sent(client: Client, entry: Delivered): void
  /** Something was taken from the stream. */
  cut(stream: string): void
}

/** What one client has added to one stream: another one of that name may be on another server. */
interface Watched {
  readonly client: Client
  readonly stream: string
  readonly lookout: Lookout
  readonly ids: Set<string>
  /** The last look found what is not newer waiting for a group. */
  seenUpTo: string | undefined
}
interface Deps {
  readonly asking: Asking
  readonly kit: TaskKit
  readonly waiting: NotDelivered
}

export function createVanishing(deps: Deps, pace: Pace = PACE): Vanishing {
  const all = new Set<Watched>()

  const watch = (client: Client, stream: string): Watched => {
    const [oldest] = all
    if (oldest && all.size >= MOST_WATCHED) {
      oldest.lookout.end()
      all.delete(oldest)
    }
    const lookout = new Lookout(pace, async () => {
      if (isUsable(client)) await look(deps, watched, pace.soonMs)
      const own = deps.waiting.of(stream)
      for (const id of watched.ids) if (!own?.has(id)) watched.ids.delete(id)
      if (watched.ids.size === 0) all.delete(watched)
      return watched.ids.size > 0
    })
    const watched: Watched = { client, stream, lookout, ids: new Set(), seenUpTo: undefined }
    all.add(watched)
    return watched
  }
  const find = (client: Client, stream: string): Watched | undefined => {
    for (const watched of all) if (watched.client === client && watched.stream === stream) return watched
    return undefined
  }
  return {
    sent(client, { stream, id }) {
      const { ids, lookout } = find(client, stream) ?? watch(client, stream)
      ids.add(id)
      if (ids.size > MOST_IDS) ids.delete(ids.values().next().value!)
      lookout.nudge()
    },
    cut(stream) {
      for (const watched of all) if (watched.stream === stream) watched.lookout.nudge()
    },
  }
}

async function look({ asking, kit, waiting }: Deps, watched: Watched, soonMs: number): Promise<void> {
  const { client, stream, ids, seenUpTo } = watched
  const own = [...(waiting.of(stream) ?? [])].filter(([id]) => ids.has(id))
  const newest = own.at(-1)?.[0]
  if (newest === undefined) return
  const isWhole = (state: StreamState | undefined): boolean => state !== undefined && !isBefore(state.newest, newest)
  let state = await asking.stateOf(client, stream)
  if (!isWhole(state)) {
    // A replica may be asked, which is a little behind.
    await new Promise((resolve) => setTimeout(resolve, soonMs).unref())
    if (!isUsable(client)) return
    state = await asking.stateOf(client, stream)
  }
  const { delivered, first } = state ?? {}
  for (const [id, taskId] of own) {
    const isDelivered = delivered !== undefined && !isBefore(delivered, id)
    const isThere = first !== undefined && !isBefore(id, first) && !isBefore(state!.newest, id)
    if (!isDelivered && isThere) continue
    // Without a group nobody is meant to run it, unless it has gone with its group.
    const hasWaited = delivered !== undefined || isUpTo(seenUpTo, id)
    // Somebody here may have got it meanwhile.
    const isOurs = waiting.of(stream)?.get(id) === taskId
    waiting.remove({ stream, id })
    if (isOurs && !isDelivered && hasWaited) kit.settle(taskId, 'lost', 'vanished_from_broker', 'broker')
  }
  if (delivered !== undefined) watched.seenUpTo = newest
}

function isUpTo(seenUpTo: string | undefined, id: string): boolean {
  return seenUpTo !== undefined && !isBefore(seenUpTo, id)
}

/** What is written to a connection that ends, or has ended, would be an error of the app's. */
function isUsable(client: Client): boolean {
  const { isReady, manuallyClosing, status } = client as {
    readonly isReady?: boolean
    readonly manuallyClosing?: boolean
    readonly status?: string
  }
  return isReady !== false && manuallyClosing !== true && (status === undefined || status === 'ready')
}
