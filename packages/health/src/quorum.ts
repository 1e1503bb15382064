// Whether others of the service see the same: through the PostgreSQL ledger. See docs/decisions/health-fleet.md.
import type { Clock, HealthView, HealthVote } from '@afterspan/core/internal'
import type { Timer } from './timer.ts'

const CALM_MS = 5000
const TROUBLED_MS = 1000
/** What the others said last counts so long when they cannot be asked. */
const VALID_MS = 15_000

/** The checks that are down for more than half of the instances that have them, this one included; never for this one alone. Pure. */
export function sharedTroubles(own: readonly string[], peers: readonly HealthView[]): Set<string> {
  const shared = own.filter((name) => {
    const down = peers.filter((peer) => peer.down.includes(name)).length
    const up = peers.filter((peer) => peer.up.includes(name)).length
    return down > 0 && down + 1 > up
  })
  return new Set(shared)
}

interface Given {
  readonly clock: Pick<Clock, 'monotonicMs'>
  readonly timer: Timer
  readonly service: string
  /** What this instance sees, of the checks that are put to the vote. */
  readonly view: () => HealthView
  /** Absent while there is no ledger of several hosts. */
  readonly cast: () => ((vote: HealthVote) => Promise<readonly HealthView[] | undefined>) | undefined
  /** These are down for most. */
  readonly onShared: (names: ReadonlySet<string>) => void
  readonly onError: (error: unknown) => void
}

/** Votes from now on: every few seconds, each second while something is down, and at once when that begins. */
export class Quorum {
  readonly #given: Given
  readonly #instance = `${process.pid}-${Math.random().toString(36).slice(2)}`
  #peers: readonly HealthView[] = []
  #toldAt = Number.NEGATIVE_INFINITY
  #isCasting = false
  #wasDown = ''
  #cancel: () => void

  constructor(given: Given) {
    this.#given = given
    this.#cancel = given.timer.after(0, () => this.#round())
  }

  /** A result has come: where that changes what is down, the others are to hear of it. */
  look(): void {
    const down = this.#given.view().down.join(',')
    if (down === this.#wasDown) return
    this.#wasDown = down
    this.#next(0)
  }

  #next(ms: number): void {
    this.#cancel()
    this.#cancel = this.#given.timer.after(ms, () => this.#round())
  }

  #round(): void {
    const { view, onError } = this.#given
    const { down } = view()
    this.#next(down.length > 0 ? TROUBLED_MS : CALM_MS)
    this.#judge()
    if (!this.#isCasting) this.#cast().catch(onError)
  }

  async #cast(): Promise<void> {
    const { cast, clock, service, view } = this.#given
    const by = cast()
    if (!by) return
    this.#isCasting = true
    try {
      const peers = await by({ service, instance: this.#instance, ...view() })
      if (!peers) return
      this.#peers = peers
      this.#toldAt = clock.monotonicMs()
    } finally {
      this.#isCasting = false
    }
    this.#judge()
  }

  #judge(): void {
    const { clock, onShared, view } = this.#given
    const isKnown = clock.monotonicMs() - this.#toldAt < VALID_MS
    onShared(isKnown ? sharedTroubles(view().down, this.#peers) : new Set())
  }
}
