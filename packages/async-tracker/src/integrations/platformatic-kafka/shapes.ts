// What is used of @platformatic/kafka, as it is in 2.x. Each method takes a callback or returns a promise.
import type { Admin } from '../kafka/deleting.ts'

export interface PlatformaticKafka {
  readonly Admin?: { readonly prototype: Admin }
  readonly Consumer: { readonly prototype: Consumer }
  readonly Producer: { readonly prototype: Producer }
}
export type Callback<R> = (error?: unknown, result?: R) => void

export interface Message {
  readonly topic: string
  readonly partition?: number
  readonly headers?: ReadonlyMap<unknown, unknown> | Readonly<Record<string, unknown>> | null
}
export interface SendOptions {
  readonly messages: readonly Message[]
}
export interface SendResult {
  /** Absent where the broker was asked for no answer. */
  readonly offsets?: readonly { readonly topic: string; readonly partition: number; readonly offset: bigint }[]
}
export interface Producer {
  readonly transaction?: Transaction | undefined
  asStream(...args: unknown[]): ProducerStream
  beginTransaction(options?: unknown, callback?: Callback<Transaction>): Promise<Transaction> | undefined
  send(options: SendOptions, callback?: Callback<SendResult>): Promise<SendResult> | undefined
}
export interface Transaction {
  abort(callback?: Callback<void>): Promise<void> | undefined
  cancel(callback?: Callback<void>): Promise<void> | undefined
  commit(callback?: Callback<void>): Promise<void> | undefined
}
export interface ProducerStream {
  once(event: 'close', listener: () => void): unknown
  write(message: Message, ...rest: unknown[]): boolean
  end(...args: unknown[]): unknown
}

export interface ReceivedMessage {
  readonly topic: string
  readonly partition: number
  readonly offset: bigint
  readonly headers: ReadonlyMap<unknown, unknown>
  commit: (callback?: Callback<void>) => Promise<void> | undefined
}
export interface ConsumeOptions {
  /** Filled in by the library: true, or each so many milliseconds. */
  readonly autocommit?: boolean | number
}
export interface CommitOptions {
  readonly offsets: readonly { readonly topic: string; readonly partition: number; readonly offset: bigint }[]
}
export interface Consumer {
  readonly groupId: string
  commit(options: CommitOptions, callback?: Callback<void>): Promise<void> | undefined
  consume(options: ConsumeOptions, callback?: Callback<MessagesStream>): Promise<MessagesStream> | undefined
}
export type Listener = (this: unknown, ...args: unknown[]) => unknown
export interface MessagesStream {
  [Symbol.asyncIterator](): AsyncIterator<ReceivedMessage>
  addListener(event: string | symbol, listener: Listener): this
  on(event: string | symbol, listener: Listener): this
  once(event: string | symbol, listener: Listener): this
  pipe(...args: unknown[]): unknown
  rawListeners(event: string): Listener[]
}
