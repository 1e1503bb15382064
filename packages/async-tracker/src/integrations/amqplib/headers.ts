// Headers: where the trace context travels, and where RabbitMQ writes what became of a message.
import { createBag, isObject, type Bag, type Fields } from '../sending/bag.ts'
import { marksOf, optionsOf, type Asking } from './returns.ts'
import type { Message } from './shapes.ts'

/**
 * The options with the carrier among the headers, and asking for what no queue gets where a return would name the task. A layer over
 * what the caller gave, since amqplib reads inherited properties too.
 */
export function withCarrier(options: unknown, { fields }: Bag, asking: Asking): unknown {
  const added = { ...fields, ...marksOf(asking) }
  if (Object.keys(added).length === 0) return options
  const given = isObject(options) ? options : null
  const headers = isObject(given?.['headers']) ? given['headers'] : null
  return layer(given, { ...('traceparent' in fields ? optionsOf(asking) : {}), headers: layer(headers, added) })
}

function layer(below: Fields | null, fields: Fields): Fields {
  return Object.assign(Object.create(below) as Fields, fields)
}

export function bagOf({ properties }: Pick<Message, 'properties'>): Bag {
  return createBag({ ...properties.headers })
}

/** Whose copy of a message it is: of the queue that an exchange first gave it to, wherever it has been since. */
export function readerOf({ properties }: Message, queue: string): string {
  const first = properties.headers?.['x-first-death-queue']
  return typeof first === 'string' && first ? first : queue
}

/** Whose copy it is in a stream: it stays there, and each consumer reads it. */
export function consumerOf({ fields: { consumerTag } }: Message, queue: string): string {
  return consumerTag ? `${queue}/${consumerTag}` : queue
}

/** Deliveries before this one, which quorum queues count. */
export function deliveriesBefore({ properties }: Message): number | undefined {
  const count = Number(properties.headers?.['x-delivery-count'])
  return Number.isInteger(count) ? count : undefined
}
