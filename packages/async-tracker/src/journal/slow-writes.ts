/** Milliseconds beyond which a write is slow. */
const SLOW_MS = 50
const MOST_IN_A_ROW = 2

/** Whether a disk is sick: two writes in a row take longer than 50 ms. One alone may be a process that had to wait for the processor. */
export class SlowWrites {
  static readonly meaning = `${MOST_IN_A_ROW} writes in a row took more than ${SLOW_MS} ms`
  #inARow = 0

  get areTooMany(): boolean {
    return this.#inARow >= MOST_IN_A_ROW
  }

  /** Of a write that went well: milliseconds. */
  took(ms: number): void {
    this.#inARow = ms > SLOW_MS ? this.#inARow + 1 : 0
  }

  forget(): void {
    this.#inARow = 0
  }
}
