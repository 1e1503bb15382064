// What no queue is bound for the broker drops without a word, also where it confirms it, unless it is asked to send it back
// (`mandatory`). So each message asks for that. Of those that the app did not ask for it never hears; its own carry a mark, since a
// channel says of none that it arrived, and so nothing could be remembered of them without bound.
import { isObject, type Fields } from '../sending/bag.ts'
import type { Message } from './shapes.ts'
import type { Topology } from './topology.ts'

const MARK = 'afterspan-mandatory'
/** What comes back comes back whole. So much is one frame, by default. */
const MOST_BYTES = 128 * 1024
/** To these RabbitMQ delivers by itself, and sends back what is mandatory. */
const ANSWERS = /^amq\.rabbitmq\.reply-to/
const DELAYED = 'x-delayed-message'

/** The app itself has asked for the message: then it carries the mark. */
export type Asking = 'asked' | 'marked' | 'not'
interface Sending {
  readonly exchange: string
  readonly routingKey: string
  readonly content: unknown
  readonly options: unknown
}

export function askForReturn({ exchanges }: Topology, { exchange, routingKey, content, options }: Sending): Asking {
  const { mandatory, headers } = isObject(options) ? options : {}
  if (mandatory) return 'marked'
  const isDelayed = exchanges.get(exchange) === DELAYED || (isObject(headers) && 'x-delay' in headers)
  const isLong = Buffer.isBuffer(content) && content.length > MOST_BYTES
  return isDelayed || isLong || (exchange === '' && ANSWERS.test(routingKey)) ? 'not' : 'asked'
}

/** What is laid over the options and the headers of a message that the broker is going to see. */
export function optionsOf(asking: Asking): Fields {
  return asking === 'asked' ? { mandatory: true } : {}
}
export function marksOf(asking: Asking): Fields {
  return asking === 'marked' ? { [MARK]: '1' } : {}
}

/** Takes the mark from a message before the app sees it, and says whether it was there. */
export function unmark({ properties: { headers } }: Pick<Message, 'properties'>): boolean {
  return headers !== undefined && MARK in headers && delete headers[MARK]
}

/**
 * What it means that no queue got it. To a queue by its name, or through an exchange that leads to queues by their keys, work was
 * sent. Any other is a place for news, which nobody may be waiting for.
 */
export function isWork({ exchanges }: Topology, exchange: string): boolean {
  return exchange === '' || exchange === 'amq.direct' || exchanges.get(exchange) === 'direct'
}
