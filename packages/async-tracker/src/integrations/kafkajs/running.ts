// Running: eachMessage is an attempt of its message. eachBatch is one of each of its messages: done when its offset is resolved or
// committed, or when the batch is.
import { context, ROOT_CONTEXT } from '@opentelemetry/api'
import type { AttemptInfo, TaskKit } from '@afterspan/core/internal'
import { headersCarrier } from '../kafka/headers.ts'
import { recordId } from '../kafka/record-id.ts'
import { attemptThrown } from '../running/caught.ts'
import { isObject } from '../sending/bag.ts'
import { holdBatch, runBatch, type HeldBatch } from './batch.ts'
import type { Consumer, EachBatchPayload, Offsets, ReceivedMessage, RunConfig } from './shapes.ts'

export function patchConsumer(consumer: Consumer, kit: TaskKit, groupId: string | undefined): void {
  const held = new Set<HeldBatch>()
  kit.wrap(
    consumer,
    'run',
    (original) =>
      function (this: Consumer, ...args) {
        const [config, ...rest] = args
        const tracked = isObject(config) ? trackedConfig(config, kit, { groupId, held }) : config
        // Its loop must not carry the request that happened to start it for its whole life.
        return context.with(ROOT_CONTEXT, () => original.call(this, tracked, ...rest))
      },
  )
  kit.wrap(
    consumer,
    'commitOffsets',
    (original) =>
      async function (this: Consumer, ...args) {
        await original.apply(this, args)
        for (const { topic, partition, offset } of args[0] ?? [])
          for (const batch of held) batch.commit(topic, partition, offset)
      },
  )
}

interface Group {
  readonly groupId: string | undefined
  /** The batches that run. */
  readonly held: Set<HeldBatch>
}

function trackedConfig(config: RunConfig, kit: TaskKit, group: Group): RunConfig {
  const { eachBatch, eachBatchAutoResolve, eachMessage } = config
  return {
    ...config,
    ...(typeof eachMessage === 'function'
      ? {
          eachMessage(payload, ...rest) {
            const { topic, partition, message } = payload
            const info = infoOf(topic, partition, message, group)
            return attemptThrown(kit, info, headersCarrier(message.headers), () =>
              eachMessage.call(this, payload, ...rest),
            )
          },
        }
      : {}),
    ...(typeof eachBatch === 'function'
      ? {
          eachBatch(payload, ...rest) {
            const { batch } = payload
            const attempts = batch.messages.map((message) => infoOf(batch.topic, batch.partition, message, group))
            const holding = holdBatch(batch, attempts)
            group.held.add(holding)
            return runBatch(kit, holding, {
              isAutoResolved: eachBatchAutoResolve !== false,
              run: () => eachBatch.call(this, watched(payload, holding), ...rest),
              onEnd: () => group.held.delete(holding),
            })
          },
        }
      : {}),
  }
}

function watched(payload: EachBatchPayload, holding: HeldBatch): EachBatchPayload {
  const commitAll = ({ topics }: Offsets): void => {
    for (const { topic, partitions } of topics)
      for (const { partition, offset } of partitions) holding.commit(topic, partition, offset)
  }
  return {
    ...payload,
    resolveOffset(offset, ...rest) {
      payload.resolveOffset(offset, ...rest)
      holding.resolve(offset)
    },
    async commitOffsetsIfNecessary(offsets) {
      await payload.commitOffsetsIfNecessary(offsets)
      if (offsets) commitAll(offsets)
    },
  }
}

function infoOf(topic: string, partition: number, { offset }: ReceivedMessage, { groupId }: Group): AttemptInfo {
  return {
    system: 'kafka',
    destination: topic,
    name: topic,
    attempt: 0, // Kafka does not count deliveries
    messageId: recordId(topic, partition, offset),
    ...(groupId ? { consumerGroup: groupId } : {}),
    // A record whose offset was not committed is delivered again, to this consumer or to the next one.
    outcomeOf: (error) => (isGivenBack(error) ? 'released' : 'retrying'),
  }
}

const LEFT_THE_GROUP = new Set([
  'ILLEGAL_GENERATION',
  'NOT_COORDINATOR_FOR_GROUP',
  'REBALANCE_IN_PROGRESS',
  'UNKNOWN_MEMBER_ID',
])

/** heartbeat() throws where the partition is given to others: the handler stopped because of that, and has not failed. */
function isGivenBack(error: unknown): boolean {
  return isObject(error) && error['name'] === 'KafkaJSProtocolError' && LEFT_THE_GROUP.has(String(error['type']))
}
