// What instances see of what they share, for all of them to read. Not in turn: each writes its own row, and nobody decides by it but readers.
import type { HealthView, HealthVote } from '@afterspan/core/internal'
import type { Query } from './postgres-rows.ts'

/** An instance that has not said anything for so long has no voice; after the longer time its row goes. */
const VALID_MS = 15_000
const FORGOTTEN_MS = 3_600_000
const MOST_PEERS = 500

/** Leaves this instance's view, and returns those of its peers. */
export async function castVote(query: Query, { service, instance, down, up }: HealthVote): Promise<HealthView[]> {
  const rows = await query(
    `WITH own AS (
       INSERT INTO afterspan.vote VALUES ($1, $2, $3, now())
       ON CONFLICT (service, instance) DO UPDATE SET view = excluded.view, seen_at = now()
     ), forgotten AS (
       DELETE FROM afterspan.vote WHERE instance <> $2 AND seen_at < now() - $5 * interval '1 millisecond'
     )
     SELECT view FROM afterspan.vote
     WHERE service = $1 AND instance <> $2 AND seen_at > now() - $4 * interval '1 millisecond' LIMIT ${MOST_PEERS}`,
    [service, instance, JSON.stringify({ down, up } satisfies HealthView), VALID_MS, FORGOTTEN_MS],
  )
  return rows.map((row) => JSON.parse(row['view'] as string) as HealthView)
}
