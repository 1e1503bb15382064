import type { TaskKit } from '@afterspan/core/internal'
import { patchDeleting } from '../kafka/deleting.ts'
import { patchConsumer } from './running.ts'
import type { Kafka, Producer } from './shapes.ts'

const ours = new WeakSet<object>()

/** Its clients are objects that the factories of Kafka make: each is patched as it is made. */
export function patchClients(
  prototype: Kafka,
  kit: TaskKit,
  client: {
    patchProducer(producer: Producer, kit: TaskKit, config: unknown): void
    groupOf(config: unknown): string | undefined
  },
): void {
  // import and require may both bring it: there is one class. Its methods may have been wrapped by others in between.
  if (ours.has(prototype)) return
  kit.wrap(
    prototype,
    'producer',
    (original) =>
      function (this: Kafka, ...args) {
        const producer = original.apply(this, args)
        client.patchProducer(producer, kit, args[0])
        return producer
      },
  )
  kit.wrap(
    prototype,
    'admin',
    (original) =>
      function (this: Kafka, ...args) {
        const admin = original.apply(this, args)
        patchDeleting(admin, kit)
        return admin
      },
  )
  kit.wrap(
    prototype,
    'consumer',
    (original) =>
      function (this: Kafka, ...args) {
        const consumer = original.apply(this, args)
        patchConsumer(consumer, kit, client.groupOf(args[0]))
        return consumer
      },
  )
  ours.add(prototype)
}
