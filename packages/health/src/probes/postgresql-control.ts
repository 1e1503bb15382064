// The control experiment for a pool of pg.
import { within } from '../within.ts'
import { CONTROL_MS } from './control-deadline.ts'
import { isWedged, type HeldClient } from './pool-control.ts'
import type { PgClient, PgPool } from './postgresql-pooled-client.ts'
import { BACKENDS_QUESTION } from './postgresql-questions.ts'

/** A connection of its own, made as the pool makes them, asked once, and ended whatever happens. Rejects where the server is not well. */
export async function experiment(pool: PgPool): Promise<boolean> {
  const Client = pool.Client
  if (!Client) return false
  const client = new Client(pool.options)
  client.on('error', () => {})
  const answer = (async (): Promise<boolean> => {
    await client.connect()
    client.unref?.()
    const { rows } = await client.query(BACKENDS_QUESTION)
    const { own, active } = rows[0] as { own: number; active: readonly number[] }
    const idle = new Set(pool._idle?.map((item) => item.client))
    const held = (pool._clients ?? []).filter((each) => !idle.has(each)).map(heldClient)
    return isWedged(held, { pid: client.processID ?? undefined, own, active })
  })()
  try {
    return await within(answer, CONTROL_MS)
  } finally {
    client.connection?.stream?.destroy?.()
  }
}

function heldClient(client: PgClient): HeldClient {
  const queued = (client._queryQueue ?? client.queryQueue)?.length ?? 0
  return { pid: client.processID ?? undefined, isBusy: client.readyForQuery === false || queued > 0 }
}
