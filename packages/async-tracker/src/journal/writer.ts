// The journal of one process and thread. An event is on its way to the disk when `append` returns: the bytes are with the
// kernel, so they survive SIGKILL, abort and a full heap; they do not survive a power cut.
import { closeSync, fstatSync, openSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { JournalEvent } from '@afterspan/core/internal'
import { makeFolder } from '../make-folder.ts'
import { encodeRecord } from './record.ts'
import { journalDir, segmentFile } from './segment.ts'

export interface JournalSettings {
  readonly dir: string
  /** `<nonce>.<thread>`. */
  readonly key: string
  /** The first record of each segment: who writes. */
  readonly opened: () => JournalEvent
  /** Said once for each kind of trouble by whoever made the writer. */
  readonly onTrouble: (error: NodeJS.ErrnoException) => void
}
const SEGMENT_BYTES = 4 * 1024 * 1024
const MOST_HELD = 10_000
const RETRY_MS = 1_000
const LOOK_MS = 2_000
/** So many writes in a row slower than this open the breaker: a sick disk must not stop the app's event loop. */
const SLOW_MS = 50
const MOST_SLOW_WRITES = 2

export class JournalWriter {
  /** Events that could not be kept, since the start. */
  dropped = 0
  /** Times that the file could not be written. */
  errors = 0
  readonly #settings: JournalSettings
  #fd: number | undefined
  #number = 0
  #bytes = 0
  #lookedAt = 0
  #retryAt = 0
  #slowWrites = 0
  #held: JournalEvent[] = []
  #flush: NodeJS.Timeout | undefined

  constructor(settings: JournalSettings) {
    this.#settings = settings
  }

  get isOpen(): boolean {
    return this.#fd !== undefined
  }

  get hasWritten(): boolean {
    return this.#number > 0
  }

  /** Makes the file, so that who writes is known; without an event yet. Never throws. */
  open(): void {
    const now = performance.now()
    if (this.#fd !== undefined || now < this.#retryAt) return
    try {
      this.#open(now)
    } catch (error) {
      this.#trouble(error as NodeJS.ErrnoException)
    }
  }

  /** False: the event is not in the journal, and not held in memory for it either. Never throws. */
  append(event: JournalEvent): boolean {
    const now = performance.now()
    if (this.#fd === undefined && now < this.#retryAt) return this.#hold(event)
    try {
      this.#makeReady(now)
      const isKept = this.#write(event)
      if (this.#isSlow) this.#trouble(slowDisk())
      return isKept
    } catch (error) {
      this.#trouble(error as NodeJS.ErrnoException)
      return this.#hold(event)
    }
  }

  close(): void {
    if (this.#fd === undefined) return
    const closing = this.#fd
    this.#fd = undefined
    try {
      closeSync(closing)
    } catch {
      // its bytes are with the kernel already
    }
  }

  #makeReady(now: number): void {
    if (this.#fd !== undefined && (this.#bytes >= SEGMENT_BYTES || this.#isGone(now))) this.close()
    if (this.#fd === undefined) this.#open(now)
    while (this.#held.length > 0) {
      this.#write(this.#held[0]!)
      this.#held.shift()
      if (this.#isSlow) throw slowDisk()
    }
  }

  #open(now: number): void {
    const { dir, key, opened } = this.#settings
    const folder = journalDir(dir)
    makeFolder(folder)
    this.#number++
    // Never an existing file, never through a symbolic link.
    const file = join(folder, segmentFile({ key, number: this.#number }))
    this.#fd = openSync(file, 'ax', 0o600)
    this.#bytes = 0
    this.#lookedAt = now
    try {
      this.#write(opened())
    } catch (error) {
      unlinkSync(file) // on a full disk each attempt would leave one
      throw error
    }
  }

  /** False: too large for a record. */
  #write(event: JournalEvent): boolean {
    const record = encodeRecord(event)
    if (!record) return false
    const from = performance.now()
    const written = writeSync(this.#fd!, record, 0, record.length)
    const tookMs = performance.now() - from
    this.#bytes += written
    // Without an error: the disk filled up in the middle. The reader finds its way over what is torn.
    if (written < record.length) throw Object.assign(new Error('a write was cut short'), { code: 'ENOSPC' })
    this.#slowWrites = tookMs > SLOW_MS ? this.#slowWrites + 1 : 0
    return true
  }

  get #isSlow(): boolean {
    return this.#slowWrites >= MOST_SLOW_WRITES
  }

  /** A cleaner may have taken the file away under the writer: writes would succeed into nothing. */
  #isGone(now: number): boolean {
    if (now - this.#lookedAt < LOOK_MS) return false
    this.#lookedAt = now
    return fstatSync(this.#fd!).nlink === 0
  }

  #trouble(error: NodeJS.ErrnoException): void {
    this.errors++
    this.close()
    this.#slowWrites = 0
    this.#retryAt = performance.now() + RETRY_MS // from now: the write itself may have taken long
    this.#settings.onTrouble(error)
  }

  #hold(event: JournalEvent): boolean {
    if (!encodeRecord(event)) return false // it would not fit later either
    if (this.#held.length >= MOST_HELD) {
      this.dropped++
      return false
    }
    this.#held.push(event)
    this.#flushLater()
    return true
  }

  /** Without waiting for a next event: there may be none for long, and whoever is killed meanwhile would take with it that its work was done. */
  #flushLater(): void {
    if (this.#flush) return
    this.#flush = setTimeout(() => {
      this.#flush = undefined
      try {
        if (this.#held.length > 0 && performance.now() >= this.#retryAt) this.#makeReady(performance.now())
      } catch (error) {
        this.#trouble(error as NodeJS.ErrnoException)
      }
      if (this.#held.length > 0) this.#flushLater()
    }, RETRY_MS).unref()
  }
}

/** The record is written; the disk is not to be trusted with the next one. */
function slowDisk(): NodeJS.ErrnoException {
  return Object.assign(new Error(`${MOST_SLOW_WRITES} writes in a row took more than ${SLOW_MS} ms`), { code: 'ESLOW' })
}
