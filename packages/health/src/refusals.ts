// A server answers each question of a probe, and refuses what the app wants of it: a full disk lets every reader through. What the
// app's own statements were told says so, until one of them goes well again or none has been told it for a while.
import type { ProbeResult } from '@afterspan/core/internal'

/** What one server refused lately. */
export interface Refusal {
  readonly code: string
  readonly count: number
}

const LATELY_MS = 30_000
const MOST_CODES = 10
/** Disk full, too many connections for one more, out of memory, input and output, damaged data. */
const OF_THE_SERVER: ReadonlySet<string> = new Set([
  '53100',
  '53200',
  '53300',
  '58030',
  'XX001',
  'XX002',
  'disk_full',
  'too_many_connections',
  'confirms_overdue',
  'jetstream_unavailable',
  'storage_full',
  'under_min_isr',
])
/** The login may not do what the app does: not seldom that of a migration that is not through. */
const OF_THE_LOGIN: ReadonlySet<string> = new Set(['42501', 'no_permission'])
/** The name may be of that one call, maybe of what its caller said. */
const OF_THE_NAME: ReadonlySet<string> = new Set(['stream_gone'])
/** Another transaction was in the way, once by chance; again and again where one does not end. */
const OF_A_LOCK: ReadonlySet<string> = new Set(['55P03', 'lock_timeout'])
/** One statement may have been too big for what there is; several are not. */
const SEVERAL = 2

/** What a client without spans of its own tells of its server. `statement`: the text by which it is known when it goes well again. */
export interface RefusalNews {
  /** One is known: what goes well need not be told else. */
  isAwaited(): boolean
  refused(code: string, statement: string | undefined): void
  wentWell(statement: string): void
}

/** For whom nobody listens. */
export const NO_NEWS: RefusalNews = { isAwaited: () => false, refused: () => {}, wentWell: () => {} }

interface Known {
  readonly code: string
  statement: string | undefined
  count: number
  at: number
}

/** Of one kind of server, by the app's own calls. */
export class Refusals {
  readonly #known = new Map<string, Known>()

  /** Whether one is known: a call that goes well need not be looked at else. */
  get isEmpty(): boolean {
    return this.#known.size === 0
  }

  /** A call has failed; returns whether that is kept. `statement`: by which it is known when it goes well; undefined where nobody hears of that. */
  failed(code: string, statement: string | undefined, at: number): boolean {
    if (![OF_THE_SERVER, OF_THE_LOGIN, OF_THE_NAME, OF_A_LOCK].some((known) => known.has(code))) return false
    const known = this.#known.get(code)
    if (known && at - known.at < LATELY_MS) Object.assign(known, { statement, count: known.count + 1, at })
    else if (known || this.#known.size < MOST_CODES) this.#known.set(code, { code, statement, count: 1, at })
    return true
  }

  forget(): void {
    this.#known.clear()
  }

  wentWell(statement: string | undefined): void {
    if (statement === undefined) return
    for (const [code, known] of this.#known) if (known.statement === statement) this.#known.delete(code)
  }

  /** The worst of them. */
  lately(now: number): Refusal | undefined {
    let worst: Known | undefined
    for (const [code, known] of this.#known) {
      // A clock that was set back must not keep it.
      if (now - known.at >= LATELY_MS || now < known.at - LATELY_MS) this.#known.delete(code)
      else if (!worst || (isHard(known) && !isHard(worst))) worst = known
    }
    return worst && { code: worst.code, count: worst.count }
  }
}

function isHard({ code, count }: Refusal): boolean {
  return OF_THE_SERVER.has(code) && count >= SEVERAL
}

/** What a probe found that was answered, and what the app was told meanwhile. `isAlone`: it is this client's server that has told it. */
export function withRefusal(result: ProbeResult, refusal: Refusal | undefined, isAlone: boolean): ProbeResult {
  if (result.status !== 'pass' || !refusal) return result
  const isOfSeveral = OF_THE_NAME.has(refusal.code) || OF_A_LOCK.has(refusal.code)
  if (isOfSeveral && refusal.count < SEVERAL) return result
  return {
    status: isAlone && isHard(refusal) ? 'fail' : 'warn',
    code: refusal.code,
    cause: 'dependency',
    reason: `the server answers, and refuses what the app asks of it${isAlone ? '' : '; which of several is not known'}`,
    observed: { ...result.observed, refused: { value: refusal.count, unit: 'count' } },
  }
}
