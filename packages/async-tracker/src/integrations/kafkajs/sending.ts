// send() and sendBatch(), of a producer and of a transaction. What a transaction sends is the broker's only when it is committed.
import type { NoConfirmation, SentAs, TaskDraft, TaskKit } from '@afterspan/core/internal'
import { withHeaders } from '../kafka/headers.ts'
import { recordIds } from '../kafka/record-id.ts'
import { failureOf } from '../running/failure-of.ts'
import { isObject, type Bag } from '../sending/bag.ts'
import { spawnAll } from '../sending/send-all.ts'
import type { Producer, RecordMetadata, Sender, TopicMessages, Transaction } from './shapes.ts'

export function patchProducer(producer: Producer, kit: TaskKit): void {
  patchSender(producer, kit)
  kit.wrap(
    producer,
    'transaction',
    (original) =>
      async function (this: Producer, ...args) {
        const transaction = await original.apply(this, args)
        patchTransaction(transaction, kit)
        return transaction
      },
  )
}

/** How a transaction ends, and what waits for that. */
export interface Ending {
  readonly ended: Promise<void>
  readonly told: Promise<unknown>[]
  isRolledBack: boolean
  /** Of what was sent in it, all is in the journal then. */
  end(isRolledBack: boolean): Promise<void>
}

export function transactionEnding(): Ending {
  const { promise, resolve } = Promise.withResolvers<void>()
  const ending: Ending = {
    ended: promise,
    told: [],
    isRolledBack: false,
    async end(isRolledBack) {
      ending.isRolledBack = isRolledBack
      resolve()
      await Promise.allSettled(ending.told)
    },
  }
  return ending
}

function patchTransaction(transaction: Transaction, kit: TaskKit): void {
  const ending = transactionEnding()
  patchSender(transaction, kit, ending)
  patchEnd(transaction, kit, () => ending)
}

/** `take`: the ending of the transaction that has just been committed or aborted. */
export function patchEnd(transaction: Transaction, kit: TaskKit, take: () => Ending | undefined): void {
  for (const method of ['commit', 'abort'] as const)
    kit.wrap(
      transaction,
      method,
      (original) =>
        async function (this: Transaction, ...args) {
          await original.apply(this, args)
          // It is in the journal before the app goes on.
          await take()?.end(method === 'abort')
        },
    )
}

function patchSender(sender: Sender, kit: TaskKit, ending?: Ending): void {
  kit.wrap(
    sender,
    'send',
    (original) =>
      function (this: Sender, record, ...rest) {
        if (!isTracked(record)) return original.call(this, record, ...rest)
        return sendRecords(kit, { topics: [record], acks: record.acks, ending, mayDrop: true }, ([carrying]) =>
          original.call(this, { ...record, ...carrying }, ...rest),
        )
      },
  )
  kit.wrap(
    sender,
    'sendBatch',
    (original) =>
      function (this: Sender, batch, ...rest) {
        const topics: unknown = isObject(batch) ? batch.topicMessages : undefined
        if (!Array.isArray(topics) || topics.length === 0 || !topics.every(isTracked))
          return original.call(this, batch, ...rest)
        return sendRecords(kit, { topics, acks: batch.acks, ending, mayDrop: true }, (topicMessages) =>
          original.call(this, { ...batch, topicMessages }, ...rest),
        )
      },
  )
}

interface Call {
  readonly topics: readonly TopicMessages[]
  readonly acks: number | undefined
  readonly ending: Ending | undefined
  /** A message to a partition that has no leader, or is none, is not sent, and nothing says so: the result has no such partition. */
  readonly mayDrop?: boolean
}
type Send = (carrying: readonly TopicMessages[]) => Promise<readonly RecordMetadata[]>

const UNANSWERED: NoConfirmation = { instead: 'unanswered' }
const DROPPED = failureOf('UNKNOWN_TOPIC_OR_PARTITION', 'there is no such partition, and nothing was sent')
const ROLLED_BACK: NoConfirmation = { instead: 'rolled_back' }

export async function sendRecords(kit: TaskKit, { topics, acks, ending, mayDrop }: Call, send: Send): ReturnType<Send> {
  const records = topics.flatMap(({ topic, messages }) =>
    messages.map(({ partition }) => ({
      topic,
      partition: partition === undefined || partition < 0 ? undefined : partition,
    })),
  )
  const errorOf = (result: readonly RecordMetadata[], i: number): Error | undefined =>
    mayDrop && acks !== 0 && !ending?.isRolledBack && isDropped(records[i]!, result) ? DROPPED : undefined
  let ids: readonly SentAs[] | undefined
  const idOf = (result: readonly RecordMetadata[], i: number): SentAs => {
    if (ending?.isRolledBack) return ROLLED_BACK
    if (acks === 0) return UNANSWERED
    ids ??= idsOf(records, result)
    return ids[i]
  }
  const carrying = (bags: readonly Bag[]): readonly TopicMessages[] => {
    let next = 0
    return topics.map((one) => ({ ...one, messages: one.messages.map((m) => withHeaders(m, bags[next++]!)) }))
  }
  const { sent, told } = spawnAll(kit, records.map(draftOf), (bags) => send(carrying(bags)), idOf, {
    until: ending?.ended,
    errorOf,
  })
  // 'confirmed' is in the journal before the app goes on; in a transaction that is when it ends.
  if (!ending) await told
  try {
    return await sent
  } catch (error) {
    await told
    throw error
  } finally {
    ending?.told.push(told)
  }
}

interface Target {
  readonly topic: string
  /** Where the app chose it. */
  readonly partition: number | undefined
}

function isDropped({ topic, partition }: Target, result: readonly RecordMetadata[]): boolean {
  if (!Array.isArray(result)) return false
  return !result.some((one) => one.topicName === topic && (partition === undefined || one.partition === partition))
}

function idsOf(records: readonly Target[], result: readonly RecordMetadata[]): readonly SentAs[] {
  const isSent = records.map((record) => !isDropped(record, result))
  const ids = recordIds(
    records.filter((_, i) => isSent[i]),
    firstOffsets(result),
  ).values()
  return isSent.map((was) => (was ? ids.next().value : undefined))
}

function firstOffsets(result: readonly RecordMetadata[]): Parameters<typeof recordIds>[1] {
  return result.flatMap(({ topicName: topic, partition, baseOffset }) =>
    baseOffset === undefined ? [] : [{ topic, partition, offset: BigInt(baseOffset) }],
  )
}

/** What kafkajs would refuse it refuses itself, in its own words: they show the message as the app gave it. */
export function isTracked(record: unknown): record is TopicMessages {
  if (!isObject(record) || typeof record['topic'] !== 'string' || !record['topic']) return false
  const { messages } = record
  return Array.isArray(messages) && messages.length > 0 && messages.every(isTrackedMessage)
}

function isTrackedMessage(message: unknown): boolean {
  if (!isObject(message) || message['value'] === undefined) return false
  const { headers } = message
  return headers === undefined || headers === null || isObject(headers)
}

function draftOf({ topic }: { readonly topic: string }): TaskDraft {
  return { system: 'kafka', destination: topic, name: topic }
}
