// AWS SQS through @aws-sdk/client-sqs. Everything goes through the client's send(). Why not through the official instrumentation: docs/decisions/aws-sqs.md.
import type { Integration } from '@afterspan/core/internal'
import { createReceiving } from './aws-sqs/receiving.ts'
import { createSending } from './aws-sqs/sending.ts'
import { createSettling } from './aws-sqs/settling.ts'
import type { Client, Exports, Step } from './aws-sqs/shapes.ts'

const ours = new WeakSet<object>()

/** The integration of SQS: a message that is sent is a task, and each time that it is received an attempt. */
export const awsSqs: Integration<Exports> = {
  name: 'aws-sqs',
  module: '@aws-sdk/client-sqs',
  versions: '>=3.450.0 <4',
  systems: ['aws_sqs'],
  patch(exports, kit) {
    const { prototype } = exports.SQSClient
    // import and require may both bring it: there is one class.
    if (ours.has(prototype)) return
    ours.add(prototype)
    const { steps: receiving, deliveries } = createReceiving(exports, kit)
    const steps = [...createSending(exports, kit), ...receiving, ...createSettling(exports, kit, deliveries)]
    const stepOf = (command: unknown): Step | undefined =>
      steps.find(([Command]) => Command && command instanceof Command)?.[1]
    kit.wrap(prototype, 'send', (original) => {
      const send: Client['send'] = function (this: Client, command, ...rest) {
        const step = stepOf(command)
        return step ? step(this, command, rest, original) : original.call(this, command, ...rest)
      }
      return send
    })
  },
}
