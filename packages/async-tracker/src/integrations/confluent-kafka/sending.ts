// send(), of which sendBatch() is one for each topic. A producer has one transaction at a time, which is the producer itself.
import type { TaskKit } from '@afterspan/core/internal'
import { isTracked, patchEnd, sendRecords, transactionEnding, type Ending } from '../kafkajs/sending.ts'
import type { Producer, Transaction } from '../kafkajs/shapes.ts'
import { isObject } from '../sending/bag.ts'

export function patchProducer(producer: Producer, kit: TaskKit, config: unknown): void {
  const acks = acksOf(config)
  let ending: Ending | undefined
  kit.wrap(
    producer,
    'send',
    (original) =>
      function (this: Producer, record, ...rest) {
        // A message that was sent before has its headers as librdkafka takes them: a list, which is no place for ours.
        if (!isTracked(record) || record.messages.some(({ headers }) => Array.isArray(headers)))
          return original.call(this, record, ...rest)
        return sendRecords(kit, { topics: [record], acks, ending }, ([carrying]) =>
          original.call(this, { ...record, ...carrying }, ...rest),
        )
      },
  )
  kit.wrap(
    producer,
    'transaction',
    (original) =>
      async function (this: Producer, ...args) {
        const transaction = await original.apply(this, args)
        ending = transactionEnding()
        return transaction
      },
  )
  patchEnd(producer as Producer & Transaction, kit, () => {
    const over = ending
    ending = undefined
    return over
  })
}

/** Of all that a producer sends; by each of the names that it takes. */
function acksOf(config: unknown): number | undefined {
  if (!isObject(config)) return undefined
  const { kafkaJS } = config
  const acks = (isObject(kafkaJS) ? kafkaJS['acks'] : undefined) ?? config['acks'] ?? config['request.required.acks']
  return typeof acks === 'number' ? acks : undefined
}
