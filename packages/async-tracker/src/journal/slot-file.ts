import { closeSync, openSync, readdirSync, unlinkSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { makeFolder } from '../make-folder.ts'
import { SlowDisk } from './slow-disk.ts'

const EMPTY = Buffer.from([0])

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
 * first written. On a slow disk it asks for a pause, by `isReady`. One that cannot be written is told once to `onTrouble`; then, and from then on, `write` and `empty` return false.
 */
export class SlotFile {
  readonly #path: string
  readonly #slotBytes: number
  readonly #onTrouble: (error: NodeJS.ErrnoException) => void
  readonly #disk = new SlowDisk()
  #fd = -1
  #isBroken = false

  constructor(path: string, slotBytes: number, onTrouble: (error: NodeJS.ErrnoException) => void) {
    this.#path = path
    this.#slotBytes = slotBytes
    this.#onTrouble = onTrouble
  }

  /** Whether a new note may be written. What is there already is emptied in any case: a note that stays would be told of. */
  get isReady(): boolean {
    return !this.#isBroken && !this.#disk.isLeftAlone
  }

  write(bytes: Buffer, length: number, number: number): boolean {
    if (this.#isBroken) return false
    const from = performance.now()
    try {
      if (this.#fd < 0) {
        makeFolder(dirname(this.#path))
        this.#fd = openSync(this.#path, 'wx', 0o600)
      }
      writeSync(this.#fd, bytes, 0, length, number * this.#slotBytes)
      this.#disk.wrote(from, performance.now())
      return true
    } catch (error) {
      return this.#fail(error)
    }
  }

  empty(number: number): boolean {
    return this.write(EMPTY, 1, number)
  }

  remove(): void {
    if (this.#fd < 0 || this.#isBroken) return
    try {
      closeSync(this.#fd)
      this.#fd = -1
      unlinkSync(this.#path)
    } catch (error) {
      this.#fail(error)
    }
  }

  #fail(error: unknown): false {
    this.#isBroken = true
    this.#onTrouble(error as NodeJS.ErrnoException)
    return false
  }
}
