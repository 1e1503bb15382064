import type { Integration } from '@afterspan/core/internal'
import { patchClients } from './kafkajs/clients.ts'
import { patchProducer } from './kafkajs/sending.ts'
import type { KafkaJS } from './kafkajs/shapes.ts'
import { isObject } from './sending/bag.ts'

/** The integration of kafkajs: a record is a task, a run of its handler an attempt. */
export const kafkajs: Integration<KafkaJS> = {
  name: 'kafkajs',
  module: 'kafkajs',
  versions: '>=2.0.0 <3',
  systems: ['kafka'],
  replacesScopes: ['@opentelemetry/instrumentation-kafkajs'],
  patch({ Kafka: { prototype } }, kit) {
    patchClients(prototype, kit, { patchProducer, groupOf })
  },
}

function groupOf(config: unknown): string | undefined {
  const group = isObject(config) ? config['groupId'] : undefined
  return typeof group === 'string' ? group : undefined
}
