const FIRST_MS = 1_000
const MOST_MS = 30_000

/** How long to wait after one more export that failed: as the collector says, where it says anything to speak of, else twice as long as before. `before` is 0 where the last one went well. */
export function nextBackoff(before: number, retryAfterMs: number | undefined): number {
  const own = Math.min(MOST_MS, Math.max(FIRST_MS, before * 2))
  return retryAfterMs === undefined || retryAfterMs < FIRST_MS ? own : retryAfterMs
}
