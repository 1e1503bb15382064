// What is used of amqplib, as it is from 0.10 on.
import type { Fields } from '../sending/bag.ts'

export const SYSTEM = 'rabbitmq'

export interface Message {
  readonly content?: unknown
  readonly fields: {
    readonly consumerTag?: string
    readonly deliveryTag: number
    readonly exchange: string
    readonly redelivered: boolean
    readonly routingKey: string
  }
  readonly properties: {
    readonly headers?: Fields
    readonly messageId?: unknown
    readonly replyTo?: unknown
    readonly type?: unknown
  }
}
export interface ReturnedMessage {
  readonly fields: {
    readonly exchange: string
    readonly replyCode: number
    readonly replyText: string
    readonly routingKey: string
  }
  readonly properties: Message['properties']
}
export type Method = (this: Channel, ...args: unknown[]) => unknown
/** Both classes: methods of the one return promises, those of the other take callbacks. */
export interface Channel {
  ack: Method
  ackAll: Method
  assertExchange: Method
  assertQueue: Method
  bindQueue: Method
  close: Method
  consume: Method
  deleteQueue: Method
  emit(event: string, ...args: unknown[]): boolean
  get: Method
  nack: Method
  nackAll: Method
  publish: Method
  purgeQueue: Method
  recover: Method
  reject: Method
  sendOrEnqueue: Method
  /** Of a confirm channel. */
  waitForConfirms: Method
  /** Its number on the connection. */
  readonly ch: number
  readonly connection: Connection
}
/** What tells whether bytes are still on their way to the kernel. */
export interface Connection {
  once?(event: 'close', listener: () => void): unknown
  readonly channels?: readonly ({ readonly buffer: Buffered } | null | undefined)[]
  readonly muxer?: { readonly newStreams: readonly unknown[]; readonly oldStreams: readonly unknown[] }
  readonly stream?: { readonly destroyed?: boolean; readonly readableEnded?: boolean; readonly writableLength: number }
}
interface Buffered {
  readonly readableLength: number
  readonly writableLength: number
}
/** What connect() gives. */
export interface Model {
  close(this: Model, ...args: unknown[]): unknown
  readonly connection: Connection
}
interface ChannelClass {
  readonly prototype: Channel
}
/** One of the two models is there, by the face. */
export interface Models {
  readonly CallbackModel?: { readonly prototype: Model }
  readonly ChannelModel?: { readonly prototype: Model }
  readonly Channel: ChannelClass
  readonly ConfirmChannel: ChannelClass & (new (...args: never[]) => Channel)
}

/** Names that RabbitMQ makes up are one destination: each of them is used once. */
export function nameOf(exchangeOrQueue: string): string {
  return /^amq\.(?:gen|rabbitmq\.reply-to)/.exec(exchangeOrQueue)?.[0] ?? exchangeOrQueue
}
