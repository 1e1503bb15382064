import type { AdminSettings } from '../admin/server.ts'
import type { MetricFamily, SideService } from '../contracts/service.ts'
import type { Place } from '../metrics/group/place.ts'
import type { OtlpSettings } from '../sdk/otlp/settings.ts'

/** What the side thread is started with. Plain data. */
export interface SideThreadData {
  readonly admin: AdminSettings
  readonly services: readonly SideService[]
  /** Where the other processes of the service are found. */
  readonly place: Place | undefined
  /** One 64-bit number: the monotonic clock, in ns, when the main thread last turned. */
  readonly heartbeat: SharedArrayBuffer
  /** Of the sessions with the main thread; see inspector-gate. */
  readonly gate: SharedArrayBuffer
  /** Nothing is said on stderr: OTEL_LOG_LEVEL=none. */
  readonly isSilent: boolean
}

export type ToSide =
  | { readonly kind: 'service'; readonly name: string; readonly message: unknown }
  | { readonly kind: 'families'; readonly families: readonly MetricFamily[] }
  | { readonly kind: 'beside' }
  | LastWords

/** Bytes to be sent at once, while the main thread waits for `done` and will then be gone: how many are still under way, and then what came of each. */
export interface LastWords {
  readonly kind: 'last-words'
  readonly bodies: readonly { readonly body: Uint8Array; readonly settings: OtlpSettings }[]
  readonly done: SharedArrayBuffer
}

export type ToMain =
  | { readonly kind: 'service'; readonly name: string; readonly message: unknown }
  | { readonly kind: 'families' }
  | { readonly kind: 'beside'; readonly families: readonly MetricFamily[] }

/** The two ends of a MessageChannel, or of a Worker. */
export interface Port<Out, In> {
  postMessage(message: Out): void
  on(event: 'message', listen: (message: In) => void): unknown
}

/** What came of a body. */
export const SENT = 1
export const NOT_SENT = 2
