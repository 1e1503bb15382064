import type { SpanScope } from '../../sdk/span-data.ts'
import type { LogIds } from '../log-ids.ts'

/** A line or record of the app's, on its way out. Times in epoch milliseconds. */
export interface LogEntry {
  readonly scope: SpanScope
  readonly timeMs?: number | undefined
  readonly observedMs: number
  /** 1 to 24, as OpenTelemetry has them; 0: unknown. */
  readonly severity: number
  readonly severityText?: string | undefined
  readonly body?: unknown
  readonly attributes: Readonly<Record<string, unknown>>
  readonly eventName?: string | undefined
  readonly ids: LogIds | undefined
}

/** Takes what makes an entry, which is not called where there is no room for it; never throws. */
export type SendLog = (make: () => LogEntry) => void
