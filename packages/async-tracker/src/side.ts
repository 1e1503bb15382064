// The tracker's half on the side thread: the patrol, and what it answers on the admin listener.
import type { AdminReply, ErrorCode, SideHost } from '@afterspan/core/internal'
import { patrolMetrics } from './patrol/metrics.ts'
import { PatrolService, type PatrolServiceSettings } from './patrol/service.ts'
import type { Answer } from './query/answer.ts'
import { askPatrol } from './query/socket.ts'

export interface SideData extends PatrolServiceSettings {
  /** Whether this process may patrol. */
  readonly isInline: boolean
}

const STATUS_MS = 1_000

export async function start(host: SideHost, data: unknown): Promise<{ stop(): Promise<void> }> {
  const settings = data as SideData
  const { dir } = settings
  const service = new PatrolService(settings, host.clock, (code: ErrorCode, message: string) => {
    host.say(code, message)
  })
  // Whoever patrols answers; the others pass the question on.
  const ask = async (path: string, query: URLSearchParams): Promise<Answer> =>
    service.patrol ? service.ask(path, query) : ((await askPatrol(dir, `${path}?${query.toString()}`)) ?? NOBODY)
  const route = (prefix: string): void => {
    host.route(prefix, async ({ path, query, trusted }): Promise<AdminReply> => {
      if (!trusted) return json({ status: 403, body: { error: 'loopback or the admin token only' } })
      return json(await ask(path, query))
    })
  }
  route('/receipt/')
  route('/tasks')
  host.metrics(patrolMetrics(service))
  if (settings.isInline) service.start({ onlyWithWork: true })
  const stopStatus = host.clock.every(STATUS_MS, async () => {
    if (service.ledger)
      host.post({
        kind: 'status',
        counts: await service.ledger.countsByState(),
        lastRunAt: service.patrol?.totals.lastRunAt,
      })
  })
  return {
    async stop() {
      stopStatus()
      await service.stop()
    },
  }
}

const NOBODY: Answer = { status: 503, body: { error: 'nobody patrols this ledger folder' } }

function json({ status, body }: Answer): AdminReply {
  return { status, headers: { 'content-type': 'application/json' }, body: `${JSON.stringify(body)}\n` }
}
