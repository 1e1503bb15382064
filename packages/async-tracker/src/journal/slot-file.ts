import { closeSync, openSync, unlinkSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { makeFolder } from '../make-folder.ts'

const EMPTY = Buffer.from([0])

/**
 * Slots of one size in one small file, each written by one call; a zero at its beginning says that a slot is empty. The file is made when it is
 * first written. One that cannot be written is told once to `onTrouble`; then, and from then on, `write` and `empty` return false.
 */
export class SlotFile {
  readonly #path: string
  readonly #slotBytes: number
  readonly #onTrouble: (error: NodeJS.ErrnoException) => void
  #fd = -1
  #isBroken = false

  constructor(path: string, slotBytes: number, onTrouble: (error: NodeJS.ErrnoException) => void) {
    this.#path = path
    this.#slotBytes = slotBytes
    this.#onTrouble = onTrouble
  }

  write(bytes: Buffer, length: number, number: number): boolean {
    if (this.#isBroken) return false
    try {
      if (this.#fd < 0) {
        makeFolder(dirname(this.#path))
        this.#fd = openSync(this.#path, 'wx', 0o600)
      }
      writeSync(this.#fd, bytes, 0, length, number * this.#slotBytes)
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
