// kafkajs. Its clients are objects that the two factories of Kafka make: each is patched as it is made.
import type { Integration } from '@afterspan/core/internal'
import { patchConsumer } from './kafkajs/running.ts'
import { patchDeleting } from './kafka/deleting.ts'
import { patchProducer } from './kafkajs/sending.ts'
import type { KafkaJS } from './kafkajs/shapes.ts'

const ours = new WeakSet<object>()

/** The integration of kafkajs: a record is a task, a run of its handler an attempt. */
export const kafkajs: Integration<KafkaJS> = {
  name: 'kafkajs',
  module: 'kafkajs',
  versions: '>=2.0.0 <3',
  systems: ['kafka'],
  replacesScopes: ['@opentelemetry/instrumentation-kafkajs'],
  patch({ Kafka: { prototype } }, kit) {
    // import and require may both bring it: there is one class. Its methods may have been wrapped by others in between.
    if (ours.has(prototype)) return
    kit.wrap(
      prototype,
      'producer',
      (original) =>
        function (this: typeof prototype, ...args) {
          const producer = original.apply(this, args)
          patchProducer(producer, kit)
          return producer
        },
    )
    kit.wrap(
      prototype,
      'admin',
      (original) =>
        function (this: typeof prototype, ...args) {
          const admin = original.apply(this, args)
          patchDeleting(admin, kit)
          return admin
        },
    )
    kit.wrap(
      prototype,
      'consumer',
      (original) =>
        function (this: typeof prototype, ...args) {
          const consumer = original.apply(this, args)
          patchConsumer(consumer, kit, args[0]?.groupId)
          return consumer
        },
    )
    ours.add(prototype)
  },
}
