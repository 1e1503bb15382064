import type { TraceRef } from '../contracts/task.ts'
import type { RequestRecord } from './request-record.ts'

/** A power of two: the index is masked. */
const KEPT = 16

/** The last requests that were answered: who may have left behind what nobody can be named for. Their refs alone are kept. */
export class RecentRequests {
  readonly #refs: (TraceRef | undefined)[] = Array.from({ length: KEPT }, () => undefined)
  readonly #startedAt = new Float64Array(KEPT)
  #next = 0

  add({ ref, startedAt }: RequestRecord): void {
    const at = this.#next++ & (KEPT - 1)
    this.#refs[at] = ref
    this.#startedAt[at] = startedAt
  }

  /** Those that began at `since` or later, the newest first. */
  since(since: number): TraceRef[] {
    const found: TraceRef[] = []
    for (let back = 1; back <= Math.min(KEPT, this.#next); back++) {
      const at = (this.#next - back) & (KEPT - 1)
      if (this.#startedAt[at]! >= since) found.push(this.#refs[at]!)
    }
    return found
  }
}
export const recentRequests = new RecentRequests()
