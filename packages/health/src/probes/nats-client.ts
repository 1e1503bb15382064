// What is known of one connection to NATS: the client, what it has asked of JetStream, what it consumes, what was refused to it.
import type { Refusals } from '../refusals.ts'
import type { JetStreamAnswer } from './jetstream-answer.ts'
import type { Consumption } from './nats-consumption.ts'

/** Of nats 2 and @nats-io/nats-core 3. */
export interface NatsConnection {
  closed(): Promise<unknown>
  flush(): Promise<void>
  isClosed(): boolean
  isDraining(): boolean
  request(subject: string, data: undefined, options: { timeout: number }): Promise<{ readonly data: Uint8Array }>
  /** What the server last said of itself. */
  readonly info?: { readonly ldm?: boolean } | undefined
  readonly protocol?: { readonly connected?: boolean }
}

export interface State {
  ref: WeakRef<NatsConnection> | undefined
  phase: 'connecting' | 'open' | 'ended' | 'gone'
  /** It has connected, or could not. */
  readonly made: Promise<void>
  /** With which the client gave up; it never connects again by itself. */
  error: unknown
  /** What the app itself has asked JetStream: it is allowed to, and it uses it. Of its account, and the last of a stream or consumer. */
  account: string | undefined
  question: string | undefined
  /** The loops over messages that the app has begun and not left. */
  readonly consumptions: Set<Consumption>
  /** What streams would not take of the app. */
  readonly refusals: Refusals
  /** What is on its way: it is not asked a second time. */
  flight: Promise<Answer> | undefined
}

export interface Answer {
  readonly roundTripMs: number
  /** By what was asked. */
  readonly jetstream: ReadonlyMap<string, JetStreamAnswer>
}
