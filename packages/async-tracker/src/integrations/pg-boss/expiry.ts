import type { Boss, Job } from './boss.ts'

/** How long after its time is over the database is asked. */
export const FIRST_PAUSE_MS = 1_000

/** Until when pg-boss leaves a job that was fetched to the app. */
export interface Expiry {
  readonly boss: Boss
  readonly queue: string
  readonly id: string
  readonly seconds: number
  questions: number
  /** When the database is asked next. */
  atMs: number
}

export function expiryOf(boss: Boss, job: Job): Expiry | undefined {
  const seconds = Number(job['expireInSeconds'])
  if (!(seconds > 0)) return undefined
  const atMs = performance.now() + seconds * 1_000 + FIRST_PAUSE_MS
  return { boss, queue: job.name, id: job.id, seconds, questions: 0, atMs }
}
