import type { TraceRef } from '../contracts/task.ts'
import type { RequestRecord } from './request-record.ts'

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
  /** Ends the SERVER span because the process leaves before it answered. */
  endForExit(): void
}
export const inFlight = new Set<OpenRequest>()
