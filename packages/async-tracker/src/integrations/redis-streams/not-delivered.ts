import type { TaskId } from '@afterspan/core/internal'
import type { Delivered } from './words.ts'

/** Of all streams. */
const MOST_KEPT = 5_000

/** What this process has added and nobody is known to have got. The oldest go first. */
export class NotDelivered {
  readonly #streams = new Map<string, Map<string, TaskId>>()
  #count = 0

  get isEmpty(): boolean {
    return this.#count === 0
  }
  of(stream: string): ReadonlyMap<string, TaskId> | undefined {
    return this.#streams.get(stream)
  }
  add({ stream, id }: Delivered, taskId: TaskId): void {
    if (this.#count >= MOST_KEPT) {
      const [oldest, ids] = this.#streams.entries().next().value!
      this.remove({ stream: oldest, id: ids.keys().next().value! })
    }
    let ids = this.#streams.get(stream)
    if (!ids) this.#streams.set(stream, (ids = new Map()))
    ids.set(id, taskId)
    this.#count++
  }
  remove({ stream, id }: Delivered): void {
    const ids = this.#streams.get(stream)
    if (!ids?.delete(id)) return
    this.#count--
    if (ids.size === 0) this.#streams.delete(stream)
  }
}
