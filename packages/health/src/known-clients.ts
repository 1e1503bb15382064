/** More than these are one for each tenant or so: one more probe would not say more. */
const MOST = 20

/** The clients of one library that are asked: not those that are gone, and so many at most. What is too much is said, and left alone. */
export class KnownClients<Client> {
  readonly #what: string
  readonly #isGone: (client: Client) => boolean
  readonly #onRejected: (why: string) => void
  readonly #all = new Set<Client>()

  /** `what`: as "pools of pg". */
  constructor(what: string, isGone: (client: Client) => boolean, onRejected: (why: string) => void) {
    this.#what = what
    this.#isGone = isGone
    this.#onRejected = onRejected
  }

  /** Whether it is one of them now: there was room for it, or it was one already. */
  add(client: Client): boolean {
    for (const each of this.#all) if (this.#isGone(each)) this.#all.delete(each)
    const isRoom = this.#all.has(client) || this.#all.size < MOST
    if (isRoom) this.#all.add(client)
    else this.#onRejected(`there are ${MOST} ${this.#what} already`)
    return isRoom
  }

  [Symbol.iterator](): Iterator<Client> {
    return this.#all.values()
  }

  /** Whether another of them is so. */
  isAnother(client: Client, so: (other: Client) => boolean): boolean {
    for (const other of this.#all) if (other !== client && so(other)) return true
    return false
  }
}
