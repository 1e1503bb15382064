import type { TraceRef } from '../contracts/task.ts'
import type { LoggedError, LogSource } from './logged-error.ts'
import { activeRequest, type RequestRecord } from './request-record.ts'

/** A request that this process has not answered yet, as the guard sees it. */
export interface OpenRequest {
  readonly ref: TraceRef
  readonly record: RequestRecord
  /** The template of its path, as far as it is known while it would end with this status. */
  routeAt(status: number | undefined): string | undefined
  /** Ends the SERVER span because the process ends: with the error where this request is guilty, with a link to the guilty one where it stood by. */
  endForCrash(role: 'culprit' | 'bystander' | 'unattributed', error: unknown, culprit: TraceRef | undefined): void
  /** Its code threw this, and the app lives on. */
  blame(error: unknown): void
  /** What the app threw while it served this request. The first one counts. */
  hasThrown(error: unknown): void
  /** What the app threw while it wrote the body, of which the client now has a part: the status says nothing of that. */
  hasBroken(error: unknown): void
  /** What it threw was caught after all. */
  forgive(error: unknown): void
  /** It put this on the console, or into the log. The last one counts, where the answer is a 5xx and nobody tells of what was thrown. */
  hasLogged(error: LoggedError, source: LogSource): void
  /** Ends the SERVER span because the process leaves before it answered. */
  endForExit(): void
}
export const inFlight = new Set<OpenRequest>()

/** The one whose code runs. */
export function activeInFlight(): OpenRequest | undefined {
  const record = activeRequest()
  if (record && !record.ended) for (const request of inFlight) if (request.record === record) return request
  return undefined
}
