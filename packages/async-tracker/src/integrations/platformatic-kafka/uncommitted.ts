// What the app has got and nothing but its commit ends. A commit is of an offset, and stands for all before it in the partition.
import type { Held } from '../running/held.ts'
import type { CommitOptions, ReceivedMessage } from './shapes.ts'

/** Messages that are never committed: the oldest go first. */
const MOST_OPEN = 10_000

interface Entry {
  readonly message: Pick<ReceivedMessage, 'topic' | 'partition' | 'offset'>
  readonly held: Held
}

export class Uncommitted {
  readonly #open = new Set<Entry>()

  add({ topic, partition, offset }: ReceivedMessage, held: Held): void {
    if (this.#open.size >= MOST_OPEN) {
      const [oldest] = this.#open
      oldest!.held.giveBack()
      this.#open.delete(oldest!)
    }
    const entry = { message: { topic, partition, offset }, held }
    this.#open.add(entry)
    const forget = (): void => void this.#open.delete(entry)
    held.ended.then(forget, forget)
  }
  /** The offset of a commit is that of the next message to be read. */
  committed({ offsets }: CommitOptions): void {
    for (const next of offsets)
      for (const { message, held } of this.#open)
        if (message.topic === next.topic && message.partition === next.partition && message.offset < next.offset)
          held.succeed()
  }
  giveBack(): void {
    for (const { held } of this.#open) held.giveBack()
  }
}
