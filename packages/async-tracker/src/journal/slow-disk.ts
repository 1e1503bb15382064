const SLOW_MS = 50
const MOST_IN_A_ROW = 2
const PAUSE_MS = 5_000
/** How many times as long as the last write took: a twentieth of the app's time at the most is spent on waiting. */
const PAUSE_FACTOR = 20

/**
 * A disk on which two writes in a row take longer than 50 ms is left alone for a while by what may be left out so long: the app waits for
 * each write. One alone may be a process that had to wait for the processor.
 */
export class SlowDisk {
  #inARow = 0
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
    this.#inARow = tookMs > SLOW_MS ? this.#inARow + 1 : 0
    if (this.#inARow >= MOST_IN_A_ROW) this.#pausedUntil = until + Math.max(PAUSE_MS, PAUSE_FACTOR * tookMs)
  }
}
