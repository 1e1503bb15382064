import { SlowWrites } from './slow-writes.ts'

const PAUSE_MS = 5_000
/** How many times as long as the last write took: a twentieth of the app's time at the most is spent on waiting. */
const PAUSE_FACTOR = 20

/** A sick disk is left alone for a while by what may be left out so long: the app waits for each write. */
export class SlowDisk {
  readonly #slow = new SlowWrites()
  #pausedUntil = 0

  /** The clock is asked only where it was slow once: this is asked for each request. */
  get isLeftAlone(): boolean {
    return this.#pausedUntil > 0 && performance.now() < this.#pausedUntil
  }

  /** A write has failed: nothing that may be left out before the disk had time to be well again. */
  failed(at: number): void {
    this.#pausedUntil = at + PAUSE_MS
  }

  /** Of a write, by `performance.now()`. */
  wrote(from: number, until: number): void {
    const tookMs = until - from
    this.#slow.took(tookMs)
    if (this.#slow.areTooMany) this.#pausedUntil = until + Math.max(PAUSE_MS, PAUSE_FACTOR * tookMs)
  }
}
