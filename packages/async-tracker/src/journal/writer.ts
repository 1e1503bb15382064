// The journal of one process and thread. An event is on its way to the disk when `append` returns: the bytes are with the
// kernel, so they survive SIGKILL, abort and a full heap; they do not survive a power cut. What may wait for the end of its
// microtask goes in one write with what comes meanwhile, in the order in which it came.
import { closeSync, fstatSync, openSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { makeFolder, type JournalEvent } from '@afterspan/core/internal'
import { encodeRecord, RecordGroup } from './record.ts'
import { journalDir, segmentFile } from './segment.ts'
import { SlowWrites } from './slow-writes.ts'

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
const MOST_WAITING_BYTES = 64 * 1024
const DONE = Promise.resolve()

export class JournalWriter {
  /** Events that could not be kept, or not written down, since the start. */
  dropped = 0
  /** Times that the file could not be written. */
  errors = 0
  readonly #settings: JournalSettings
  #fd: number | undefined
  #number = 0
  #hasWritten = false
  #bytes = 0
  #lookedAt = 0
  #retryAt = 0
  /** Too many open the breaker: a sick disk must not stop the app's event loop. */
  readonly #slow = new SlowWrites()
  /** What the next write brings to the disk, and where each record of it ends. */
  readonly #group = new RecordGroup()
  readonly #waiting: { readonly event: JournalEvent; readonly end: number }[] = []
  #isDue = false
  #held: JournalEvent[] = []
  #flush: NodeJS.Timeout | undefined

  constructor(settings: JournalSettings) {
    this.#settings = settings
  }

  get isOpen(): boolean {
    return this.#fd !== undefined
  }

  /** Whether it is there, so that whoever reads journals knows this process. */
  get hasWritten(): boolean {
    return this.#hasWritten
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

  /**
   * False: the event is not in the journal, and not held in memory for it either. `mayWait`: it is written before the promise
   * reactions that are queued from now on run, or with the next one that may not wait. Never throws.
   */
  append(event: JournalEvent, mayWait = false): boolean {
    const now = performance.now()
    if (this.#fd === undefined && now < this.#retryAt) return this.#hold(event)
    if (!this.#group.add(event)) return this.#refuse(event)
    this.#waiting.push({ event, end: this.#group.length })
    if (!mayWait || this.#group.length > MOST_WAITING_BYTES) return this.#writeWaiting(now)
    if (!this.#isDue) {
      this.#isDue = true
      void DONE.then(() => {
        this.#isDue = false
        this.#writeWaiting(performance.now())
      })
    }
    return true
  }

  close(): void {
    this.#writeWaiting(performance.now())
    this.#close()
  }

  /** One more try for what is held, in one write and however short ago the last one was: the process ends. Never throws. */
  writeLast(): void {
    this.#writeWaiting(performance.now())
    if (this.#held.length === 0) return
    const all = new RecordGroup()
    for (const event of this.#held) all.add(event)
    try {
      if (this.#fd === undefined) this.#open(performance.now())
      if (this.#put(all, performance.now()) < all.length) throw cutShort()
      this.#held = []
    } catch (error) {
      this.#trouble(error as NodeJS.ErrnoException)
    }
  }

  /** Whether the last of them is kept. */
  #writeWaiting(now: number): boolean {
    if (this.#waiting.length === 0) return true
    let written = 0
    try {
      const from = this.#makeReady(now)
      written = this.#put(this.#group, from)
      if (written < this.#group.length) throw cutShort()
      if (this.#slow.areTooMany) this.#trouble(slowDisk())
      return true
    } catch (error) {
      this.#trouble(error as NodeJS.ErrnoException)
      let isKept = false
      for (const { event, end } of this.#waiting) if (end > written) isKept = this.#hold(event)
      return isKept
    } finally {
      this.#waiting.length = 0
      this.#group.length = 0
    }
  }

  #close(): void {
    if (this.#fd === undefined) return
    const closing = this.#fd
    this.#fd = undefined
    try {
      closeSync(closing)
    } catch {
      // its bytes are with the kernel already
    }
  }

  /** Since when the next write is timed: what is done here does not count. */
  #makeReady(now: number): number {
    if (this.#fd !== undefined && (this.#bytes >= SEGMENT_BYTES || this.#isGone(now))) this.#close()
    if (this.#fd !== undefined && this.#held.length === 0) return now
    if (this.#fd === undefined) this.#open(now)
    while (this.#held.length > 0) {
      this.#write(this.#held[0]!)
      this.#held.shift()
      if (this.#slow.areTooMany) throw slowDisk()
    }
    return performance.now()
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
      this.#hasWritten = true
    } catch (error) {
      unlinkSync(file) // on a full disk each attempt would leave one
      throw error
    }
  }

  #write(event: JournalEvent): void {
    const bytes = encodeRecord(event)
    if (bytes && this.#put({ bytes, length: bytes.length }, performance.now()) < bytes.length) throw cutShort()
  }

  /** How many bytes were written. */
  #put({ bytes, length }: Pick<RecordGroup, 'bytes' | 'length'>, from: number): number {
    const written = writeSync(this.#fd!, bytes, 0, length)
    const tookMs = performance.now() - from
    this.#bytes += written
    if (written === length) this.#slow.took(tookMs)
    return written
  }

  /** A cleaner may have taken the file away under the writer: writes would succeed into nothing. */
  #isGone(now: number): boolean {
    if (now - this.#lookedAt < LOOK_MS) return false
    this.#lookedAt = now
    return fstatSync(this.#fd!).nlink === 0
  }

  #trouble(error: NodeJS.ErrnoException): void {
    this.errors++
    this.#close()
    this.#slow.forget()
    this.#retryAt = performance.now() + RETRY_MS // from now: the write itself may have taken long
    this.#settings.onTrouble(error)
  }

  #hold(event: JournalEvent): boolean {
    if (!encodeRecord(event)) return this.#refuse(event) // it would not fit later either
    if (this.#held.length >= MOST_HELD) {
      this.dropped++
      return false
    }
    this.#held.push(event)
    this.#flushLater()
    return true
  }

  /** Too large, or no JSON. Of one with a span the rest is still to come. */
  #refuse(event: JournalEvent): false {
    if (!('span' in event)) this.dropped++
    return false
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

/** Without an error: the disk filled up in the middle. The reader finds its way over what is torn. */
function cutShort(): NodeJS.ErrnoException {
  return Object.assign(new Error('a write was cut short'), { code: 'ENOSPC' })
}

/** The record is written; the disk is not to be trusted with the next one. */
function slowDisk(): NodeJS.ErrnoException {
  return Object.assign(new Error(SlowWrites.meaning), { code: 'ESLOW' })
}
