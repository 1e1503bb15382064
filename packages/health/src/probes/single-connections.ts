// What single connections of a database have in common: each is asked between the statements of its app, and an app whose statements wait
// behind one that is not answered is told of, though nothing could be asked.
import type { ProbeResult } from '@afterspan/core/internal'
import { networkCode } from '../codes.ts'

type Observed = NonNullable<ProbeResult['observed']>

/** How one connection looks now. */
export interface Look {
  /** Nothing of the app's is on its way. */
  readonly isIdle: boolean
  /** A statement was sent, and has no answer yet. */
  readonly isBusy: boolean
  /** And others wait for it. */
  readonly isWaitedFor: boolean
  /** That have come from the server. */
  readonly bytes: number
}

/** So long the statements of an app may stand behind one of which nothing is heard. */
const UNANSWERED_MS = 1500
const MOST_LOOKS = 3
const BESIDE_EVERY_MS = 5000
/** An answer that comes byte by byte is none. */
const FEW_BYTES = 64
const ABSENT_FOR_MS = 60_000

/** Of one server. */
export class SingleConnections<Connection> {
  readonly #look: (connection: Connection) => Look
  readonly #now: () => number
  readonly #quietMs: number
  /** Since when the app has none of them. */
  #absentSince: number | undefined
  #silent: { readonly bytes: number; readonly since: number } | undefined
  #besideAt = Number.NEGATIVE_INFINITY
  /** What was found last beside those that could not be asked. */
  #found: ProbeResult | undefined

  /** `quietMs`: an app may ask what its last statement found; it has so long to do so before ours comes between. */
  constructor(look: (connection: Connection) => Look, now: () => number, quietMs: number) {
    this.#look = look
    this.#now = now
    this.#quietMs = quietMs
  }

  /** The app has another one. */
  found(): void {
    this.#absentSince = undefined
  }

  /** Whether the app has had none for long: a library's pool may have let all of them go, and takes one with the next statement. */
  areGone(living: number): boolean {
    if (living > 0) this.#absentSince = undefined
    else this.#absentSince ??= this.#now()
    return this.#absentSince !== undefined && this.#now() - this.#absentSince >= ABSENT_FOR_MS
  }

  /** One on which nothing of the app's is; it is looked for for three times as long as it is to be quiet. */
  async free(open: readonly Connection[], signal: AbortSignal): Promise<Connection | undefined> {
    let before = open.map(this.#look)
    if (this.#quietMs === 0) return open.find((_, i) => before[i]!.isIdle)
    for (let i = 0; i < MOST_LOOKS && !signal.aborted && before.some(({ isIdle }) => isIdle); i++) {
      await pause(this.#quietMs, signal)
      const now = open.map(this.#look)
      const quiet = open.find((_, j) => before[j]!.isIdle && now[j]!.isIdle && before[j]!.bytes === now[j]!.bytes)
      if (quiet !== undefined) return quiet
      before = now
    }
    return undefined
  }

  /** Whether all of them are at a statement of the app's, and next to nothing has come for long. Called in each round. */
  isSilent(open: readonly Connection[]): boolean {
    const looks = open.map(this.#look)
    const bytes = looks.reduce((sum, look) => sum + look.bytes, 0)
    if (open.length === 0 || !looks.every(({ isBusy }) => isBusy)) this.#silent = undefined
    else if (!this.#silent || Math.abs(bytes - this.#silent.bytes) > FEW_BYTES)
      this.#silent = { bytes, since: this.#now() }
    const isSilent = this.#silent !== undefined && this.#now() - this.#silent.since >= UNANSWERED_MS
    if (!isSilent) this.#found = undefined
    return isSilent
  }

  /** And more of the app's wait behind each. */
  isWaitedFor(open: readonly Connection[]): boolean {
    return open.every((each) => this.#look(each).isWaitedFor)
  }

  /** None can be asked, and each may be at a long report, or dead: a connection beside them may tell, and not too often. */
  mayAskBeside(): boolean {
    const isDue = this.#now() - this.#besideAt >= BESIDE_EVERY_MS
    if (isDue) this.#besideAt = this.#now()
    return isDue
  }

  /** Of connections that are silent. `askBeside` makes one beside them; what it rejects with is judged by `refused`. */
  async judgeSilent(
    open: readonly Connection[],
    observed: Observed,
    by: { askBeside(): Promise<Beside | 'late'>; refused(error: unknown): ProbeResult },
  ): Promise<ProbeResult> {
    if (this.isWaitedFor(open)) {
      const reason = 'statements of the app wait behind one that is not answered'
      return { status: 'fail', code: 'timeout', cause: 'dependency', reason, observed }
    }
    if (!this.mayAskBeside()) return this.#found ?? seen(observed)
    try {
      this.#found = judgeSilent(await by.askBeside(), observed)
    } catch (error) {
      this.#found = judgeBeside(by.refused(error), observed)
    }
    return this.#found
  }
}

/** Nothing was asked. */
export function seen(observed: Observed): ProbeResult {
  return { status: 'pass', observed: { ...observed, checked: { value: 'status' } } }
}

interface Flight<Row> {
  readonly answer: Promise<Row>
  readonly since: number
}

/** What a connection beside those that are silent has found of them. */
export type Beside = 'at work' | 'dead'

/** Of connections that cannot be asked, by what was found beside them; for what a new one itself meets with there is `judgeBeside`. */
export function judgeSilent(beside: Beside | 'late', observed: Observed): ProbeResult {
  if (beside === 'at work') return { status: 'pass', observed: { ...observed, checked: { value: 'beside' } } }
  return beside === 'late'
    ? {
        status: 'fail',
        code: 'timeout',
        cause: 'dependency',
        reason: 'a statement of the app is not answered, and a new connection is not either',
        observed,
      }
    : {
        status: 'fail',
        code: 'connection_lost',
        cause: 'self_recoverable',
        reason: 'a statement of the app is not answered, and the server knows of none that it works at',
        observed,
      }
}

/** What such a connection itself met with. That it was not let in says nothing of those that are. */
export function judgeBeside(met: ProbeResult, observed: Observed): ProbeResult {
  const { code } = met
  const isOfTheWay = code === 'timeout' || code === 'connection_lost' || networkCode({ code }) !== undefined
  return isOfTheWay ? met : judgeSilent('at work', observed)
}

/** What was asked of each of them and has no answer yet: no connection is asked a second time meanwhile, and another one is. */
export class OpenQuestions<Connection extends object, Row> {
  readonly #now: () => number
  readonly #flights = new WeakMap<Connection, Flight<Row>>()

  constructor(now: () => number) {
    this.#now = now
  }

  put(connection: Connection, ask: (connection: Connection) => Promise<Row>): Promise<Row> {
    const answer = ask(connection).finally(() => this.#flights.delete(connection))
    this.#flights.set(connection, { answer, since: this.#now() })
    return answer
  }

  isOn(connection: Connection): boolean {
    return this.#flights.has(connection)
  }

  /** The first answer of those that are on their way. */
  first(open: readonly Connection[]): Promise<Row> | undefined {
    const flights = this.#of(open)
    return flights.length === 0 ? undefined : Promise.race(flights.map(({ answer }) => answer))
  }

  /** One connection answers, and another one does not: what the app sends there waits for ever. */
  warn(result: ProbeResult, open: readonly Connection[]): ProbeResult {
    const oldest = Math.min(...this.#of(open).map(({ since }) => since))
    const unansweredMs = this.#now() - oldest
    if (result.status !== 'pass' || !(unansweredMs >= UNANSWERED_MS)) return result
    const reason = `one connection of the app has not answered for ${Math.round(unansweredMs)} ms, another one does`
    return { ...result, status: 'warn', code: 'connection_lost', cause: 'self_recoverable', reason }
  }

  #of(open: readonly Connection[]): Flight<Row>[] {
    return open.map((each) => this.#flights.get(each)).filter((flight) => flight !== undefined)
  }
}

/** Until it is so, or the signal comes. */
export async function untilSo(isSo: () => boolean, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && !isSo()) await pause(50, signal)
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms).unref()
    signal.addEventListener('abort', done, { once: true })
  })
}
