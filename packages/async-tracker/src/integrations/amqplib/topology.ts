// What this process itself declared of its queues: where a rejected message goes, and how often one is delivered. What others
// declared, and policies, are not known here.
import type { Death } from './deaths.ts'

export const MOST_QUEUES = 1_000
const MOST_HOPS = 10

export interface Queue {
  readonly deadLetterExchange?: string
  readonly deadLetterRoutingKey?: string
  readonly deliveryLimit?: number
  readonly messageTtlMs?: number
  readonly isStream?: boolean
}
export interface Topology {
  readonly queues: Map<string, Queue>
  /** The type of each exchange. */
  readonly exchanges: Map<string, string>
  /** Queues by exchange. */
  readonly bindings: Map<string, Set<string>>
  /** Queues into which messages that had died there came back: whoever declared it, their way of dead letters leads to them. */
  readonly returning: Set<string>
  /** Where those who asked something wait for the answer, the latest last. */
  readonly replyTo: Set<string>
}

export function createTopology(): Topology {
  return { queues: new Map(), exchanges: new Map(), bindings: new Map(), returning: new Set(), replyTo: new Set() }
}

/** What a message shows that comes out of a queue. */
export function noteDeaths({ returning }: Topology, queue: string, deaths: readonly Death[]): void {
  if (isBack(queue, deaths) && returning.size < MOST_QUEUES) returning.add(queue)
}

export function noteReplyTo({ replyTo }: Topology, queue: unknown): void {
  if (typeof queue !== 'string' || !queue) return
  replyTo.delete(queue)
  replyTo.add(queue)
  if (replyTo.size > MOST_QUEUES) replyTo.delete(replyTo.values().next().value!)
}

/** Whether what is sent there is the answer to somebody who asked, and has his own queue for it. */
export function isReply({ queues, replyTo }: Topology, exchange: string, routingKey: string): boolean {
  return exchange === '' && replyTo.has(routingKey) && !queues.has(routingKey)
}

/** Whether it was rejected in this queue before, and has come back to it. */
export function isBack(queue: string, deaths: readonly Death[]): boolean {
  return deaths.some((death) => death.queue === queue && death.reason === 'rejected')
}

/** What rejecting a message without requeue means: it is tried again when the way of dead letters leads back to its queue. */
export function afterReject(
  { queues, bindings, returning }: Topology,
  queue: string,
  routingKey: string,
): 'discarded' | 'dead_lettered' | 'retried' {
  if (returning.has(queue)) return 'retried'
  let at: readonly string[] = [queue]
  const seen = new Set<string>()
  for (let hop = 0; hop < MOST_HOPS; hop++) {
    at = at.flatMap((name) => {
      const { deadLetterExchange: exchange, deadLetterRoutingKey = routingKey } = queues.get(name) ?? {}
      if (exchange === undefined) return []
      return exchange === '' ? [deadLetterRoutingKey] : [...(bindings.get(exchange) ?? [])]
    })
    if (at.includes(queue)) return 'retried'
    at = at.filter((name) => !seen.has(name))
    for (const name of at) seen.add(name)
  }
  return queues.get(queue)?.deadLetterExchange === undefined ? 'discarded' : 'dead_lettered'
}
