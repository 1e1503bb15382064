// Processes, as the patrol has them at hand: all of this folder that are not known to be dead, and those that were asked for or died last.
// An app may start a process for each job and a thread for each request; what they were is in the ledger.
import type { LedgerStore, ProcessRow, RequestRow, TaskRow } from '../ledger/store.ts'
import type { Batch } from './digest.ts'

export const MOST_DEAD = 1_000
/** Of other hosts, or dead for long. */
const MOST_OTHERS = 1_000

export class KnownProcesses {
  readonly #living = new Map<string, ProcessRow>()
  readonly #dead = new Map<string, ProcessRow>()
  readonly #others = new Map<string, ProcessRow>()

  /** How many are not known to be dead. */
  get size(): number {
    return this.#living.size
  }
  living(): Iterable<ProcessRow> {
    return this.#living.values()
  }
  *allOfFolder(): Iterable<ProcessRow> {
    yield* this.#living.values()
    yield* this.#dead.values()
  }
  get(key: string): ProcessRow | undefined {
    return this.ofFolder(key) ?? this.#others.get(key)
  }
  /** As it is now; what was asked for may have changed since. */
  ofFolder(key: string): ProcessRow | undefined {
    return this.#living.get(key) ?? this.#dead.get(key)
  }
  isDead(key: string): boolean {
    return this.#dead.has(key)
  }
  set(row: ProcessRow): void {
    const [into, outOf] = row.deadAt === undefined ? [this.#living, this.#dead] : [this.#dead, this.#living]
    outOf.delete(row.key)
    this.#others.delete(row.key)
    into.set(row.key, row)
  }
  /** After their files are gone: who is dead is asked for them. */
  trim(): void {
    cut(this.#dead, MOST_DEAD)
  }
  forgetDeadBefore(before: number): void {
    for (const { key, deadAt = 0 } of this.#dead.values()) if (deadAt < before) this.#dead.delete(key)
    this.#others.clear()
  }
  /** So that `get` has them, as far as the ledger does. */
  async find(keys: Iterable<string>, ledger: Pick<LedgerStore, 'processesOf'>): Promise<void> {
    const missing = new Set<string>()
    for (const key of keys) if (!this.get(key)) missing.add(key)
    if (missing.size === 0) return
    const found = await ledger.processesOf([...missing])
    // What is asked for together is there together, however many there are.
    cut(this.#others, Math.max(0, MOST_OTHERS - found.length))
    for (const row of found) this.#others.set(row.key, row)
  }
}

function cut(rows: Map<string, ProcessRow>, most: number): void {
  for (const key of rows.keys()) {
    if (rows.size <= most) return
    rows.delete(key)
  }
}

/** Processes that a digest of these will ask for. */
export function* writersOf(
  batches: readonly Batch[],
  tasks: Iterable<TaskRow>,
  requests: Iterable<RequestRow>,
): Iterable<string> {
  for (const { by } of batches) yield by
  for (const { facts } of tasks) {
    if (facts.spawned) yield facts.spawned.by
    for (const { by } of facts.attempts) yield by
    for (const copy of Object.values(facts.copies ?? {})) for (const { by } of copy.attempts) yield by
  }
  for (const { by } of requests) yield by
}
