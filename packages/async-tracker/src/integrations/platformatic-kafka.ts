// @platformatic/kafka. What it sends goes through Producer.send, what it receives comes out of the stream that Consumer.consume makes.
import type { Integration } from '@afterspan/core/internal'
import { patchDeleting } from './kafka/deleting.ts'
import { patchConsumer } from './platformatic-kafka/running.ts'
import { patchProducer } from './platformatic-kafka/sending.ts'
import type { PlatformaticKafka } from './platformatic-kafka/shapes.ts'

const ours = new WeakSet<object>()

/** The integration of @platformatic/kafka: a record is a task, what the app does with it an attempt. */
export const platformaticKafka: Integration<PlatformaticKafka> = {
  name: 'platformatic-kafka',
  module: '@platformatic/kafka',
  versions: '>=2.2.3 <3',
  systems: ['kafka'],
  patch(exports, kit) {
    const { prototype } = exports.Producer
    // import and require may both bring it: there is one class.
    if (ours.has(prototype.send)) return
    patchProducer(exports, kit)
    patchConsumer(exports, kit)
    if (exports.Admin) patchDeleting(exports.Admin.prototype, kit)
    ours.add(prototype.send)
  },
}
