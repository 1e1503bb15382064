// How long a queue waits, and how often it tries: what only the queue itself says. Asked once by the app's own client; where that is not
// allowed, attempts end by what the app does.
import { withoutTracing } from '@afterspan/core/internal'
import { isObject } from '../sending/bag.ts'
import type { Client, Exports } from './shapes.ts'

const MOST_QUEUES = 1_000
const KEPT_MS = 300_000

export interface QueuePolicy {
  readonly visibilityMs?: number
  readonly maxReceives?: number
}

export class QueuePolicies {
  readonly #Command: Exports['GetQueueAttributesCommand'] | undefined
  readonly #known = new Map<string, QueuePolicy>()
  readonly #askedAt = new Map<string, number>()

  constructor({ GetQueueAttributesCommand }: Exports) {
    this.#Command = GetQueueAttributesCommand
  }

  of(url: string): QueuePolicy {
    return this.#known.get(url) ?? {}
  }

  /** Settles when it is known, or cannot be. Never rejects. */
  async learn(client: Client, url: string, original: Client['send']): Promise<void> {
    const now = performance.now()
    if (!this.#Command || now - (this.#askedAt.get(url) ?? -Infinity) < KEPT_MS) return
    if (this.#askedAt.size >= MOST_QUEUES) this.#askedAt.delete(this.#askedAt.keys().next().value!)
    this.#askedAt.set(url, now)
    try {
      const command = new this.#Command({ QueueUrl: url, AttributeNames: ['VisibilityTimeout', 'RedrivePolicy'] })
      const told = await withoutTracing(
        () => original.call(client, command) as Promise<{ readonly Attributes?: unknown }>,
      )
      if (this.#known.size >= MOST_QUEUES) this.#known.delete(this.#known.keys().next().value!)
      this.#known.set(url, policyOf(told.Attributes))
    } catch {
      // not allowed to, or not there: the app will hear of that itself
    }
  }
}

function policyOf(attributes: unknown): QueuePolicy {
  const { VisibilityTimeout: seconds, RedrivePolicy: policy } = isObject(attributes) ? attributes : {}
  const visibilityMs = Number(seconds) * 1_000
  return { ...(visibilityMs > 0 ? { visibilityMs } : {}), ...maxReceivesIn(policy) }
}

function maxReceivesIn(policy: unknown): Pick<QueuePolicy, 'maxReceives'> {
  try {
    const maxReceives = Number((JSON.parse(String(policy)) as { readonly maxReceiveCount?: unknown }).maxReceiveCount)
    return maxReceives > 0 ? { maxReceives } : {}
  } catch {
    return {}
  }
}
