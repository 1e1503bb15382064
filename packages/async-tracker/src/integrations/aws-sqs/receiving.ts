// ReceiveMessage: each message of the answer is an attempt.
import type { AttemptInfo, TaskKit } from '@afterspan/core/internal'
import { createBag, taskOf, type Fields } from '../sending/bag.ts'
import { askedFor, contextOf, isDeadLetter, receivedTimes, type Asked } from './attributes.ts'
import { Deliveries } from './deliveries.ts'
import { QueuePolicies, type QueuePolicy } from './queue-policy.ts'
import { listOf, queueOf, sendAndLook, SYSTEM, withInput, type Exports, type Step, type StepOf } from './shapes.ts'

export function createReceiving(
  exports: Exports,
  kit: TaskKit,
): { readonly steps: readonly StepOf[]; readonly deliveries: Deliveries } {
  const deliveries = new Deliveries(kit)
  const policies = new QueuePolicies(exports)

  const deliver = (message: Fields, input: Fields, policy: QueuePolicy): void => {
    const { MessageId: id, ReceiptHandle: handle } = message
    if (typeof id !== 'string' || typeof handle !== 'string') return
    const carried = contextOf(message)
    const isOther = isDeadLetter(message)
    const taskId = isOther ? taskOf(carried) : undefined
    // Whoever looks at the dead letters does other work than the one that failed.
    if (taskId) kit.settle(taskId, 'failed', 'dead_lettered', 'broker')
    const own = Number(input['VisibilityTimeout'])
    deliveries.receive({
      handle,
      info: infoOf(queueOf(input), id, receivedTimes(message), policy),
      bag: isOther ? createBag() : carried,
      visibilityMs: own > 0 ? own * 1_000 : policy.visibilityMs,
    })
  }
  const receive: Step = (client, command, rest, original) => {
    const { input } = command
    const url = String(input['QueueUrl'])
    void policies.learn(client, url, original)
    const asked: Asked = askedFor(input)
    return sendAndLook({ client, command: withInput(command, asked.input), rest, original }, (output) => {
      for (const message of listOf(output['Messages'])) {
        deliver(message, input, policies.of(url))
        asked.clean(message)
      }
    })
  }
  return { steps: [[exports.ReceiveMessageCommand, receive]], deliveries }
}

function infoOf(queue: string, messageId: string, times: number, { maxReceives }: QueuePolicy): AttemptInfo {
  return {
    system: SYSTEM,
    destination: queue,
    name: queue,
    attempt: times,
    messageId,
    isTakeover: times > 1,
    ...(maxReceives === undefined || times === 0
      ? { outcomeOf: () => 'retrying' as const }
      : { maxAttempts: maxReceives }),
  }
}
