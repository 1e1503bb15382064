import type { TopicsAnswer } from './kafka-topics.ts'

export const MIN_IN_SYNC = 'min.insync.replicas'
/** Kafka's number for a topic among what has a configuration. */
export const OF_A_TOPIC = 2
/** An operator changes it seldom, and a client that may not read it need not be told so each time. */
const KNOWN_FOR_MS = 60_000

/** Each topic with its min.insync.replicas, as the broker writes it. */
export type MinInSyncAnswer = Iterable<readonly [topic: string, value: string | null | undefined]>

/** min.insync.replicas, as one client of Kafka may read it. */
export class MinInSync {
  readonly #now: () => number
  #known: { readonly at: number; readonly of: Map<string, number>; readonly asked: ReadonlySet<string> } | undefined

  constructor(now: () => number) {
    this.#now = now
  }

  /** Of topics of which replicas are missing: only there it matters. `ask` is called once in a while, and may fail. */
  async of(
    topics: TopicsAnswer['topics'],
    ask: (topics: readonly string[]) => Promise<MinInSyncAnswer>,
  ): Promise<ReadonlyMap<string, number>> {
    const known = this.#known
    const now = this.#now()
    const short = [...topics].filter(([, all]) => all.some(({ isr, replicas }) => isr.length < replicas.length))
    if (short.length === 0) return known?.of ?? new Map()
    if (known && now - known.at < KNOWN_FOR_MS && short.every(([name]) => known.asked.has(name))) return known.of
    const of = new Map<string, number>()
    const names = short.map(([name]) => name)
    this.#known = { at: now, of, asked: new Set(names) }
    try {
      for (const [name, written] of await ask(names)) {
        const value = Number(written)
        if (value > 0) of.set(name, value)
      }
    } catch {
      // not every client may ask
    }
    return of
  }
}
