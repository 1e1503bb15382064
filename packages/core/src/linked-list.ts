/** What every entry of a list has; the list alone writes there. */
export interface Links<T> {
  before: T | undefined
  after: T | undefined
  isIn: boolean
}

/** In the order in which they came, each taken out without being looked up: for what comes and goes with every span, where a Map would hash and grow. */
export class LinkedList<T extends Links<T>> {
  first: T | undefined = undefined
  size = 0
  #last: T | undefined = undefined

  add(entry: T): void {
    entry.isIn = true
    entry.before = this.#last
    if (this.#last) this.#last.after = entry
    else this.first = entry
    this.#last = entry
    this.size++
  }

  /** Harmless for what is not in. */
  remove(entry: T): void {
    if (!entry.isIn) return
    entry.isIn = false
    if (entry.before) entry.before.after = entry.after
    else this.first = entry.after
    if (entry.after) entry.after.before = entry.before
    else this.#last = entry.before
    entry.before = undefined
    entry.after = undefined
    this.size--
  }

  /** As they are now, whatever becomes of them meanwhile. */
  all(): T[] {
    const entries: T[] = []
    for (let entry = this.first; entry; entry = entry.after) entries.push(entry)
    return entries
  }
}
