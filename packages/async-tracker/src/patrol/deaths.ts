// Deaths that are proven, and of which not all is known yet: what looks open may have been closed in what is still to be read.
import type { Evidence, RequestReceived } from '@afterspan/core/internal'
import { readFlightFile } from '../journal/flight.ts'
import { readTimerFile } from '../journal/timer-file.ts'
import type { LedgerStore, ProcessRow } from '../ledger/store.ts'
import { requestKeyOf, type Batch } from './digest.ts'
import { leftSpanIds } from './left-spans.ts'
import { bytesOf, listSegments } from './tail.ts'

/** Found at one time, by one kind of proof. */
export interface Death {
  readonly rows: ReadonlyMap<string, ProcessRow>
  readonly evidence: Evidence
  /** How far each journal went then, where it was not read so far: others may have said what became of theirs. */
  readonly unread: Map<string, Unread>
}

interface Unread {
  readonly key: string
  readonly size: number
}

export class Deaths {
  readonly #dir: string
  readonly #all: Death[] = []
  readonly #keys = new Set<string>()

  constructor(dir: string) {
    this.#dir = dir
  }

  has(key: string): boolean {
    return this.#keys.has(key)
  }

  add(dead: readonly ProcessRow[], evidence: Evidence, offsets: ReadonlyMap<string, number>): void {
    const rows = new Map(dead.filter(({ key }) => !this.#keys.has(key)).map((row) => [row.key, row]))
    if (rows.size === 0) return
    for (const key of rows.keys()) this.#keys.add(key)
    this.#all.push({ rows, evidence, unread: unreadOf(this.#dir, offsets) })
  }

  first(): Death | undefined {
    return this.#all[0]
  }

  removeFirst(): void {
    for (const key of this.#all.shift()?.rows.keys() ?? []) this.#keys.delete(key)
  }
}

function unreadOf(dir: string, offsets: ReadonlyMap<string, number>): Map<string, Unread> {
  const unread = new Map<string, Unread>()
  for (const { file, key } of listSegments(dir)) {
    const size = bytesOf(dir, file) ?? 0
    if (size > (offsets.get(file) ?? 0)) unread.set(file, { key, size })
  }
  return unread
}

export function isWaitedFor({ unread }: Death, key: string): boolean {
  for (const one of unread.values()) if (one.key === key) return true
  return false
}

/** However much is written since. */
export function isReadFor({ unread }: Death, offsets: ReadonlyMap<string, number>): boolean {
  for (const [file, { size }] of unread) if ((offsets.get(file) ?? 0) >= size) unread.delete(file)
  return unread.size === 0
}

/** What a dead process had in flight, but for what it had answered with its last breath. */
export async function inFlightOf(dir: string, ledger: LedgerStore, key: string): Promise<RequestReceived[]> {
  const requests = readFlightFile(dir, key)
  const known = await ledger.requests(requests.map(({ origin }) => requestKeyOf(origin)))
  const ended = leftSpanIds(dir, key)
  return requests.filter(({ origin }) => !ended.has(origin.spanId) && !known.get(requestKeyOf(origin))?.answered)
}

/** Timers that the dead had left to run and that never did: work that began when it was put off, and that nobody has ended. */
export function leftTimersOf(dir: string, keys: Iterable<string>): Batch[] {
  const batches: Batch[] = []
  for (const by of keys) {
    const events = readTimerFile(dir, by).flatMap((spawned) => {
      const { taskId, at } = spawned
      return [spawned, { kind: 'started', taskId, at, attempt: 1, spanId: taskId.slice(32) } as const]
    })
    if (events.length > 0) batches.push({ by, events })
  }
  return batches
}
