// What is used of JetStream's client, as it is in @nats-io/jetstream 3.x and in nats 2.29.
import type { TaskKit } from '@afterspan/core/internal'

export const SYSTEM = 'nats'

/** MsgHdrs: several values for each name. */
export interface Headers extends Iterable<readonly [string, readonly string[]]> {
  readonly code: number
  readonly description: string
  append(name: string, value: string): void
  get(name: string): string
  set(name: string, value: string): void
}
export type HeadersClass = new (code?: number, description?: string) => Headers

export interface PublishOptions {
  readonly headers?: Headers
  readonly msgID?: string
  readonly timeout?: number
  readonly schedule?: unknown
  readonly cancelSchedule?: unknown
}
export interface PubAck {
  readonly stream: string
  readonly seq: number
  readonly duplicate: boolean
}
export interface Client {
  readonly nc: object
  /** In milliseconds, for what does not say how long it waits. */
  readonly timeout: number
  /** Of nats 2. */
  _buildTypedSubscriptionOpts?(plan: SubscriptionPlan, ...rest: unknown[]): object
  publish(subject: string, data?: unknown, options?: PublishOptions, ...rest: unknown[]): Promise<PubAck>
}

/** Of the older way of nats 2: what a subscription is to be, and then is. */
export interface SubscriptionPlan {
  readonly config?: ConsumerConfig
}
export interface Subscription {
  readonly info?: SubscriptionPlan
  push(message: Message | (() => void)): void
  [Symbol.asyncIterator](): AsyncIterator<Message>
}
export interface ConsumerConfig {
  readonly ack_policy?: string
  /** In nanoseconds, as is `backoff`, which is there in its place. */
  readonly ack_wait?: number
  readonly backoff?: readonly number[]
  readonly max_deliver?: number
}
export interface Consumer {
  readonly _info?: { readonly config?: ConsumerConfig } | undefined
  consume?(options?: ConsumeOptions, ...rest: unknown[]): Promise<unknown>
  fetch?(options?: ConsumeOptions, ...rest: unknown[]): Promise<unknown>
}
export interface ConsumeOptions {
  readonly callback?: Handler
}
export type Handler = (this: unknown, message: Message, ...rest: unknown[]) => unknown

/** What consume() and fetch() give: the messages that have arrived, one after the other. */
export interface Messages {
  readonly consumer: Consumer
  /** A message; a function is to be called when all before it are gone. */
  _push(message: Message | (() => void)): void
  [Symbol.asyncIterator](): AsyncIterator<Message>
}
export interface Message {
  readonly subject: string
  readonly headers?: Headers
  readonly didAck: boolean
  readonly info: {
    readonly stream: string
    readonly consumer: string
    readonly deliveryCount: number
    readonly deliverySequence: number
    readonly streamSequence: number
  }
  /** Through which its answer goes. */
  readonly msg?: { readonly publisher?: { readonly info?: { readonly version?: string } } }
  ackAck(...args: unknown[]): Promise<boolean>
  doAck(answer: Uint8Array): void
  next(...args: unknown[]): void
}

export interface ApiClient {
  readonly nc: object
  _request(subject: string, ...rest: unknown[]): Promise<unknown>
}

/** What the files that are patched export: each has some of them. */
export interface Exports {
  /** Its name in nats 2, and in the newer package. */
  readonly BaseApiClient?: Class<ApiClient>
  readonly BaseApiClientImpl?: Class<ApiClient>
  readonly JetStreamClientImpl?: Class<Client>
  readonly JetStreamSubscriptionImpl?: Class<Subscription>
  readonly JsMsgImpl?: Class<Message>
  readonly PullConsumerImpl?: Class<Consumer>
  readonly PullConsumerMessagesImpl?: Class<Messages>
  readonly PushConsumerImpl?: Class<Consumer>
  readonly PushConsumerMessagesImpl?: Class<Messages>
}
interface Class<T> {
  readonly prototype: T
}

const ours = new WeakSet<object>()

/** Wraps one method of a class; `this` comes as an argument. A class that was brought before keeps what it has. */
export function onCall<T extends object, K extends keyof T>(
  kit: TaskKit,
  { prototype }: Class<T>,
  method: K,
  replace: (original: (...args: any[]) => unknown, self: T, args: any[]) => unknown,
): void {
  if (ours.has(prototype[method] as object)) return
  kit.wrap(
    prototype,
    method as never,
    ((original: (...args: unknown[]) => unknown) =>
      function (this: T, ...args: unknown[]) {
        return replace(original, this, args)
      }) as never,
  )
  ours.add(prototype[method] as object)
}
