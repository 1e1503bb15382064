// Tells incidents to an address of the operator's, as JSON: grouped, so that a thousand failures of one kind are one line with a
// number. It runs where the patrol does, never on a request's path, and nothing that it meets reaches anybody.
import { postOtlp, type Incident, type OtlpReply, type OtlpSettings } from '@afterspan/core/internal'
import { isDue } from '../ledger/store.ts'

const TIMEOUT_MS = 5_000
/** Between two posts: what comes meanwhile goes together. */
const PAUSE_MS = 5_000
const MOST_GROUPS = 50
const MOST_TRIES = 3

/** What stands in `incidents` of a post. The ids are those of the newest. */
export interface IncidentGroup {
  readonly kind: Incident['kind']
  readonly type: string
  readonly message: string
  readonly route?: string
  count: number
  readonly firstAt: number
  lastAt: number
  traceId?: string
  taskId?: string
}

export interface Webhook {
  readonly totals: { sent: number; dropped: number }
  /** Takes them; sent with the next round. */
  add(incidents: readonly Incident[]): void
  /** Sends what is there, unless it is too early or a post is under way. Never rejects. */
  round(now: number): Promise<void>
}

export function createWebhook(options: {
  readonly url: string
  readonly onFailure: (reason: string) => void
  readonly post?: (settings: OtlpSettings, body: Uint8Array) => Promise<OtlpReply>
}): Webhook {
  const { url, onFailure, post = postOtlp } = options
  const headers = { 'content-type': 'application/json' }
  const settings: OtlpSettings = { url, headers, timeoutMs: TIMEOUT_MS, compression: 'none' }
  const totals = { sent: 0, dropped: 0 }
  let groups = new Map<string, IncidentGroup>()
  let nextAt = -Infinity
  let tries = 0
  let isUnderWay = false

  const send = async (now: number): Promise<void> => {
    const sending = [...groups.values()]
    groups = new Map()
    const body = Buffer.from(JSON.stringify({ source: 'afterspan', incidents: sending }))
    const { ok, reason } = await post(settings, body)
    nextAt = now + PAUSE_MS
    // Many such services answer with a text or a page.
    if (ok || reason === 'not_otlp') {
      tries = 0
      totals.sent += sum(sending)
      return
    }
    onFailure(reason)
    if (++tries >= MOST_TRIES) {
      tries = 0
      totals.dropped += sum(sending)
      return
    }
    nextAt = now + PAUSE_MS * 2 ** tries
    for (const group of sending) totals.dropped += merge(groups, group)
  }
  return {
    totals,
    add(incidents) {
      for (const incident of incidents) totals.dropped += merge(groups, groupOf(incident))
    },
    async round(now) {
      if (isUnderWay || groups.size === 0 || !isDue(nextAt, now)) return
      isUnderWay = true
      try {
        await send(now)
      } finally {
        isUnderWay = false
      }
    },
  }
}

function groupOf({ kind, at, failure, route, trace, taskId }: Incident): IncidentGroup {
  const { type = kind, message = '' } = failure ?? {}
  return {
    kind,
    type,
    message,
    count: 1,
    firstAt: at,
    lastAt: at,
    ...(route ? { route } : {}),
    ...(trace ? { traceId: trace.traceId } : {}),
    ...(taskId ? { taskId } : {}),
  }
}

/** How many incidents there was no room for. */
function merge(groups: Map<string, IncidentGroup>, group: IncidentGroup): number {
  const key = [group.kind, group.type, group.route].join(' ')
  const known = groups.get(key)
  if (!known && groups.size >= MOST_GROUPS) return group.count
  if (!known) {
    groups.set(key, { ...group })
    return 0
  }
  const [newer, older] = group.lastAt >= known.lastAt ? [group, known] : [known, group]
  groups.set(key, { ...newer, count: newer.count + older.count, firstAt: Math.min(newer.firstAt, older.firstAt) })
  return 0
}

function sum(groups: readonly IncidentGroup[]): number {
  return groups.reduce((total, { count }) => total + count, 0)
}
