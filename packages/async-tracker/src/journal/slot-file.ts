import { closeSync, fstatSync, openSync, readdirSync, unlinkSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { makeFolder } from '@afterspan/core/internal'
import { SlowDisk } from './slow-disk.ts'

const EMPTY = Buffer.from([0])
const LOOK_MS = 2_000

/** That of a process, by its key; the kind is what the name ends with. */
export function slotPath(dir: string, key: string, kind: string): string {
  return join(dir, 'flight', key + kind)
}

export function removeSlotFile(dir: string, key: string, kind: string): void {
  try {
    unlinkSync(slotPath(dir, key, kind))
  } catch {
    // there is none
  }
}

/** Keys of the processes that have one of this kind. */
export function listSlotFiles(dir: string, kind: string): string[] {
  try {
    return readdirSync(join(dir, 'flight'))
      .filter((file) => file.endsWith(kind))
      .map((file) => file.slice(0, -kind.length))
  } catch {
    return []
  }
}

/**
 * Slots of one size in one small file, each written by one call; a zero at its beginning says that a slot is empty. The file is made when it is
 * first written, and again where somebody has taken it away. On a disk that is slow or fails it asks for a pause, by `isReady`; what could not
 * be emptied then is emptied with the next write that goes well.
 */
export class SlotFile {
  readonly #path: string
  readonly #slotBytes: number
  readonly #onTrouble: (error: NodeJS.ErrnoException) => void
  readonly #disk = new SlowDisk()
  /** Slots in which something may stand that is over. */
  readonly #over = new Set<number>()
  #fd = -1
  #lookedAt = 0

  constructor(path: string, slotBytes: number, onTrouble: (error: NodeJS.ErrnoException) => void) {
    this.#path = path
    this.#slotBytes = slotBytes
    this.#onTrouble = onTrouble
  }

  /** Whether a new note may be written. What is there already is emptied in any case: a note that stays would be told of. */
  get isReady(): boolean {
    return !this.#disk.isLeftAlone
  }

  /** False: it does not stand there. */
  write(bytes: Buffer, length: number, number: number): boolean {
    const from = performance.now()
    try {
      this.#makeReady(from)
      this.#put(bytes, length, number)
      if (this.#over.size > 0) this.#emptyOver(number)
      this.#disk.wrote(from, performance.now())
      return true
    } catch (error) {
      if (this.#fd >= 0) this.#over.add(number)
      this.#fail(error)
      return false
    }
  }

  empty(number: number): void {
    if (this.#fd >= 0) this.write(EMPTY, 1, number)
  }

  remove(): void {
    if (this.#fd < 0) return
    try {
      closeSync(this.#fd)
      this.#fd = -1
      unlinkSync(this.#path)
    } catch (error) {
      this.#fail(error)
    }
  }

  #makeReady(now: number): void {
    if (this.#fd >= 0 && now - this.#lookedAt >= LOOK_MS) {
      this.#lookedAt = now
      if (fstatSync(this.#fd).nlink === 0) this.#letGo()
    }
    if (this.#fd >= 0) return
    makeFolder(dirname(this.#path))
    this.#fd = openSync(this.#path, 'wx', 0o600)
    this.#lookedAt = now
  }

  #letGo(): void {
    const fd = this.#fd
    this.#fd = -1
    this.#over.clear()
    closeSync(fd)
  }

  #put(bytes: Buffer, length: number, number: number): void {
    if (writeSync(this.#fd, bytes, 0, length, number * this.#slotBytes) < length)
      throw Object.assign(new Error('a write was cut short'), { code: 'ENOSPC' })
  }

  #emptyOver(written: number): void {
    this.#over.delete(written)
    for (const number of this.#over) {
      this.#put(EMPTY, 1, number)
      this.#over.delete(number)
    }
  }

  #fail(error: unknown): void {
    this.#disk.failed(performance.now())
    this.#onTrouble(error as NodeJS.ErrnoException)
  }
}
