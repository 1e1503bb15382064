// What is used of kafkajs, as it is in 2.x. Producers, consumers and transactions are objects that are made anew, not classes.
import type { Admin } from '../kafka/deleting.ts'

export interface KafkaJS {
  readonly Kafka: { readonly prototype: Kafka }
}
export interface Kafka {
  admin(...args: unknown[]): Admin
  consumer(config: unknown, ...rest: unknown[]): Consumer
  producer(...args: unknown[]): Producer
}

export interface Message {
  readonly headers?: object
  readonly partition?: number
  readonly value: unknown
}
export interface TopicMessages {
  readonly topic: string
  readonly messages: readonly Message[]
}
export interface ProducerRecord extends TopicMessages {
  readonly acks?: number
}
export interface ProducerBatch {
  readonly acks?: number
  readonly topicMessages: readonly TopicMessages[]
}
/** Without acknowledgement there are none. */
export interface RecordMetadata {
  readonly topicName: string
  readonly partition: number
  readonly baseOffset?: string
}
export interface Sender {
  send(record: ProducerRecord, ...rest: unknown[]): Promise<readonly RecordMetadata[]>
  sendBatch(batch: ProducerBatch, ...rest: unknown[]): Promise<readonly RecordMetadata[]>
}
export interface Producer extends Sender {
  transaction(...args: unknown[]): Promise<Transaction>
}
export interface Transaction extends Sender {
  abort(...args: unknown[]): Promise<void>
  commit(...args: unknown[]): Promise<void>
}

export interface ReceivedMessage {
  readonly headers?: object
  readonly offset: string
}
export interface EachMessagePayload {
  readonly topic: string
  readonly partition: number
  readonly message: ReceivedMessage
}
export interface Batch {
  readonly topic: string
  readonly partition: number
  readonly messages: readonly ReceivedMessage[]
}
export interface Offsets {
  readonly topics: readonly {
    readonly topic: string
    /** `offset` is the next to be read. */
    readonly partitions: readonly { readonly partition: number; readonly offset: string }[]
  }[]
}
export interface EachBatchPayload {
  readonly batch: Batch
  commitOffsetsIfNecessary(offsets?: Offsets): Promise<void>
  resolveOffset(offset: string, ...rest: unknown[]): void
}
export interface RunConfig {
  readonly eachBatch?: ((this: unknown, payload: EachBatchPayload, ...rest: unknown[]) => unknown) | null
  readonly eachBatchAutoResolve?: boolean
  readonly eachMessage?: ((this: unknown, payload: EachMessagePayload, ...rest: unknown[]) => unknown) | null
}
export interface TopicPartitionOffset {
  readonly topic: string
  readonly partition: number
  readonly offset: string
}
export interface Consumer {
  commitOffsets(offsets?: readonly TopicPartitionOffset[], ...rest: unknown[]): Promise<void>
  run(config?: RunConfig, ...rest: unknown[]): Promise<void>
}
