// How many checks may begin: of the whole process, and of those that ask one kind of server. However many probes there are and however
// quick their pace, the rest waits for its turn.

/** Checks a second. */
export const OF_THE_PROCESS = 50
export const OF_ONE_COMPONENT = 10
const MOST_COMPONENTS = 200

interface Bucket {
  left: number
  filledAt: number
}

export class Budget {
  readonly #process: Bucket
  readonly #components = new Map<string, Bucket>()

  constructor(now: number) {
    this.#process = { left: OF_THE_PROCESS, filledAt: now }
  }

  /** Takes one check of this component; milliseconds until its turn, 0: now. In the order in which they are asked for. */
  take(component: string, now: number): number {
    let own = this.#components.get(component)
    if (!own) {
      if (this.#components.size >= MOST_COMPONENTS) this.#components.clear()
      own = { left: OF_ONE_COMPONENT, filledAt: now }
      this.#components.set(component, own)
    }
    fill(this.#process, OF_THE_PROCESS, now)
    fill(own, OF_ONE_COMPONENT, now)
    this.#process.left--
    own.left--
    return Math.max(wait(this.#process, OF_THE_PROCESS), wait(own, OF_ONE_COMPONENT))
  }
}

/** What is below nothing was given away already. */
function wait({ left }: Bucket, perSecond: number): number {
  return left >= 0 ? 0 : Math.ceil((-left * 1000) / perSecond)
}

/** Evenly, up to what one second has. */
function fill(bucket: Bucket, perSecond: number, now: number): void {
  const passed = Math.max(0, now - bucket.filledAt)
  bucket.left = Math.min(perSecond, bucket.left + (passed * perSecond) / 1000)
  bucket.filledAt = now
}
