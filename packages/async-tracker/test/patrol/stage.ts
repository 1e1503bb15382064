// A patrol with all that is around it: journals as processes write them, processes that live and die, a collector.
import { appendFileSync, existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { JournalEvent, OtlpReply, OtlpSettings } from '@afterspan/core/internal'
import type { StoredSpan } from '../../../afterspan/src/sink/stored-span.ts'
import { journalDir, segmentFile } from '../../src/journal/segment.ts'
import type { LedgerStore } from '../../src/ledger/store.ts'
import type { Liveness } from '../../src/patrol/liveness.ts'
import { Patrol, type PatrolSettings } from '../../src/patrol/patrol.ts'
import { fakeClock, type FakeClock } from '../../../testing/src/fake-clock.ts'
import { tempDir } from '../../../testing/src/temp-dir.ts'
import { recordOf } from '../journal/bytes.ts'
import { MemoryLedger } from '../ledger/memory-ledger.ts'
import { opened } from '../sample-events.ts'
import { spansIn } from './desk.ts'

export const OK: OtlpReply = { ok: true, retryable: false, reason: 'ok' }
export const DOWN: OtlpReply = { ok: false, retryable: true, reason: 'ECONNREFUSED' }
export const REFUSED: OtlpReply = { ok: false, retryable: false, reason: 'http_400' }

const OTLP: OtlpSettings = { url: 'http://collector/v1/traces', headers: {}, timeoutMs: 1_000, compression: 'none' }

export class Stage {
  readonly dir = tempDir('patrol')
  readonly clock: FakeClock = fakeClock()
  readonly ledger: LedgerStore
  /** What can be seen of a process; one that is not named is alive. */
  readonly seen = new Map<string, Liveness>()
  /** Every body that the collector got, taken or not. */
  readonly posted: Uint8Array[] = []
  readonly failures: string[] = []
  reply: OtlpReply = OK
  readonly #numbers = new Map<string, number>()

  constructor(ledger: LedgerStore = new MemoryLedger()) {
    this.ledger = ledger
    mkdirSync(journalDir(this.dir))
  }

  /** Appends to the journal of a writer; the first time it says who that is. */
  write(key: string, ...events: readonly JournalEvent[]): void {
    const isNew = !this.#numbers.has(key)
    if (isNew) this.#numbers.set(key, 1)
    this.append(key, Buffer.concat([...(isNew ? [opened(key)] : []), ...events].map(recordOf)))
  }
  append(key: string, bytes: Uint8Array): void {
    appendFileSync(this.segment(key), bytes)
  }
  /** The writer begins its next segment. */
  rotate(key: string): void {
    this.#numbers.set(key, (this.#numbers.get(key) ?? 0) + 1)
    this.append(key, recordOf(opened(key)))
  }
  segment(key: string, number = this.#numbers.get(key) ?? 1): string {
    return join(journalDir(this.dir), segmentFile({ key, number }))
  }
  /** Names of the files of journals and flight logs that are there. */
  files(): string[] {
    const flight = join(this.dir, 'flight')
    const names: string[] = [...readdirSync(journalDir(this.dir)), ...(existsSync(flight) ? readdirSync(flight) : [])]
    return names.sort()
  }

  /** A patrol that comes to what is there. */
  async patrol(more: Partial<PatrolSettings> = {}): Promise<Patrol> {
    const patrol = new Patrol({
      dir: this.dir,
      ledger: this.ledger,
      clock: this.clock,
      look: ({ key }) => this.seen.get(key) ?? 'alive',
      otlp: OTLP,
      post: (_, body) => this.post(body),
      onExportFailure: ({ reason }) => this.failures.push(reason),
      ...more,
    })
    await patrol.open()
    return patrol
  }
  async post(body: Uint8Array): Promise<OtlpReply> {
    this.posted.push(body)
    return this.reply
  }
  spans(): StoredSpan[] {
    return this.posted.flatMap((body) => spansIn(body))
  }
  spanIds(): string[] {
    return this.spans().map(({ spanId }) => spanId)
  }
}
