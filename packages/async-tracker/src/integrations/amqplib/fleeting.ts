// Queues that end with the connection by which they were declared: what they hold then the broker drops without a word, and nobody
// brings it again.
import type { TaskId, TaskKit } from '@afterspan/core/internal'
import { nameOf, SYSTEM, type Channel, type Connection } from './shapes.ts'

/** Of a connection. */
const MOST_QUEUES = 1_000
const MOST_LEFT = 10_000

interface Fleeting {
  readonly queues: Set<string>
  /** What was handed out, is not done, and is in its queue again: what to call when the connection has ended, by queue and task. */
  readonly left: Map<string, () => void>
}
const fleetings = new WeakMap<Connection, Fleeting>()

/** Exclusive ones; and those that go with their last consumer, where nobody else knows their name. */
export function isFleeting(queue: unknown, options: Readonly<Record<string, unknown>>): boolean {
  return Boolean(options['exclusive'] || (options['autoDelete'] && !queue))
}

export function noteFleeting(kit: Pick<TaskKit, 'empty'>, { connection }: Channel, queue: string): void {
  const { queues } = fleetings.get(connection) ?? follow(kit, connection)
  if (queues.size < MOST_QUEUES) queues.add(queue)
}

/** `gone` is called when the queue ends with the connection of this channel, if the message has not been handed out again by then. */
export function whenGone({ connection }: Channel, queue: string, taskId: TaskId, gone: () => void): void {
  const known = fleetings.get(connection)
  if (known?.queues.has(queue) && known.left.size < MOST_LEFT) known.left.set(keyOf(queue, taskId), gone)
}
export function noteAgain({ connection }: Channel, queue: string, taskId: TaskId): void {
  fleetings.get(connection)?.left.delete(keyOf(queue, taskId))
}

function follow(kit: Pick<TaskKit, 'empty'>, connection: Connection): Fleeting {
  const fleeting: Fleeting = { queues: new Set(), left: new Map() }
  fleetings.set(connection, fleeting)
  // After its channels, which say what had been handed out.
  connection.once?.('close', () => {
    for (const gone of fleeting.left.values()) gone()
    // Of one whose name the broker made up the messages are not known by it.
    for (const queue of fleeting.queues)
      if (nameOf(queue) === queue) kit.empty({ system: SYSTEM, destination: queue })()
  })
  return fleeting
}

function keyOf(queue: string, taskId: TaskId): string {
  return `${queue}\0${taskId}`
}
