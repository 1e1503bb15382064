// @confluentinc/kafka-javascript, by its promises, which are those of kafkajs over librdkafka. What an app sends and reads by the
// callbacks of node-rdkafka, which the package has too, is not followed.
import type { Integration } from '@afterspan/core/internal'
import { patchProducer } from './confluent-kafka/sending.ts'
import { patchClients } from './kafkajs/clients.ts'
import type { KafkaJS } from './kafkajs/shapes.ts'
import { isObject } from './sending/bag.ts'

/** The integration of @confluentinc/kafka-javascript: a record is a task, a run of its handler an attempt. */
export const confluentKafka: Integration<{ readonly KafkaJS: KafkaJS }> = {
  name: '@confluentinc/kafka-javascript',
  module: '@confluentinc/kafka-javascript',
  versions: '>=1.0.0 <2',
  systems: ['kafka'],
  patch({ KafkaJS: { Kafka } }, kit) {
    patchClients(Kafka.prototype, kit, { patchProducer, groupOf })
  },
}

function groupOf(config: unknown): string | undefined {
  if (!isObject(config)) return undefined
  const { kafkaJS } = config
  const group = (isObject(kafkaJS) ? kafkaJS['groupId'] : undefined) ?? config['group.id']
  return typeof group === 'string' ? group : undefined
}
