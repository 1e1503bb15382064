// What the app does with what it has received: deletes it, gives it back, or asks for more time. And with what it has not: empties the queue.
import type { TaskKit } from '@afterspan/core/internal'
import type { Deliveries } from './deliveries.ts'
import { listOf, queueOf, sendAndLook, SYSTEM, type Exports, type Step, type StepOf } from './shapes.ts'
import { isObject, type Fields } from '../sending/bag.ts'

export function createSettling(exports: Exports, kit: TaskKit, deliveries: Deliveries): readonly StepOf[] {
  const remove = ({ ReceiptHandle: handle }: Fields): void => {
    deliveries.delete(String(handle))
  }
  const giveBack = ({ ReceiptHandle: handle, VisibilityTimeout: seconds }: Fields): void => {
    if (Number(seconds) === 0) deliveries.giveBack(String(handle))
  }
  const change = ({ ReceiptHandle: handle, VisibilityTimeout: seconds }: Fields): void => {
    if (Number(seconds) === 0) deliveries.gaveBack(String(handle))
    else deliveries.extend(String(handle), Number(seconds) * 1_000)
  }
  const empty: Step = (client, command, rest, original) => {
    const emptied = kit.empty({ system: SYSTEM, destination: queueOf(command.input) })
    return sendAndLook({ client, command, rest, original }, () => emptied())
  }
  const { PurgeQueueCommand, DeleteQueueCommand } = exports
  return [
    ...(PurgeQueueCommand ? [[PurgeQueueCommand, empty] as const] : []),
    ...(DeleteQueueCommand ? [[DeleteQueueCommand, empty] as const] : []),
    [exports.DeleteMessageCommand, one(remove)],
    [exports.DeleteMessageBatchCommand, each(remove)],
    [exports.ChangeMessageVisibilityCommand, one(change, giveBack)],
    [exports.ChangeMessageVisibilityBatchCommand, each(change, giveBack)],
  ]
}

/** Once SQS has heard; `before` it is asked. */
function one(tell: (input: Fields) => void, before: (input: Fields) => void = ignore): Step {
  return (client, command, rest, original) => {
    if (isObject(command.input)) before(command.input)
    return sendAndLook({ client, command, rest, original }, () => {
      tell(command.input)
    })
  }
}

function each(tell: (entry: Fields) => void, before: (entry: Fields) => void = ignore): Step {
  return (client, command, rest, original) => {
    if (isObject(command.input)) for (const entry of listOf(command.input['Entries'])) before(entry)
    return sendAndLook({ client, command, rest, original }, (output) => {
      const taken = new Set(listOf(output['Successful']).map((entry) => entry['Id']))
      for (const entry of listOf(command.input['Entries'])) if (taken.has(entry['Id'])) tell(entry)
    })
  }
}

function ignore(): void {}
