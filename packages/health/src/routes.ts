import type { AdminReply, AdminRequest, ProbeStatus, SideHost } from '@afterspan/core/internal'
import { livez } from './livez.ts'
import { renderBody, renderCheck, renderText, wantedFormat, type Format } from './render.ts'
import { reply } from './reply.ts'
import type { CheckState, HealthSideData, HealthSnapshot } from './snapshot.ts'
import type { StallWatch } from './stall/stall-watch.ts'
import { groupOf, judge, type Endpoint, type JudgedCheck, type Verdict } from './verdict.ts'

/** Three intervals, and never less than this: a pause of the garbage collector must not empty a load balancer. */
const LEAST_STALE_MS = 3000
const MOST_PREPARED = 256
const MOST_EXCLUDED = 50

type Host = Pick<SideHost, 'route' | 'clock' | 'mainSilentMs'> & {
  /** The engine runs on this very thread: what it said last cannot be stale. */
  readonly isMain?: boolean
}

/** Mounts /livez, /readyz, /startupz and /health; to HEAD the listener sends the head of what is returned. The returned function takes the next snapshot and prepares the replies to it. */
export function mountRoutes(
  host: Host,
  data: HealthSideData,
  stalls?: Pick<StallWatch, 'current' | 'last'>,
): (snapshot: HealthSnapshot) => void {
  const replies = new Replies(data.serviceName)
  let receivedAt = Number.NEGATIVE_INFINITY
  let everyMs = data.everyMs

  const isStale = (): boolean => {
    if (host.isMain) return false
    const limit = Math.max(LEAST_STALE_MS, 3 * everyMs)
    if (host.mainSilentMs() > limit) return true
    // With no check there is nothing that could have changed since.
    return replies.hasChecks && host.clock.monotonicMs() - receivedAt > limit
  }
  const whole =
    (endpoint: Endpoint, own: Format) =>
    (request: AdminRequest): AdminReply =>
      replies.whole(endpoint, request, own, endpoint !== 'startupz' && isStale())

  const route = (path: string, handle: (request: AdminRequest) => AdminReply): void => {
    host.route(path, (request) => {
      try {
        return handle(request)
      } catch {
        // 200 or 503, whatever happens: who probes takes every other answer for something else
        return BROKEN
      }
    })
  }
  route('/livez', (request) =>
    livez(request, { silentMs: host.mainSilentMs(), stallMs: data.stallMs, stalls, wedged: replies.wedged }),
  )
  route('/readyz', whole('readyz', 'text'))
  route('/readyz/', (request) => replies.part('readyz', request, 'text', isStale()))
  route('/startupz', whole('startupz', 'text'))
  route('/health', whole('health', data.format ?? 'health+json'))
  route('/health/', (request) => replies.part('health', request, data.format ?? 'health+json', isStale()))
  return (snapshot) => {
    receivedAt = host.clock.monotonicMs()
    everyMs = snapshot.everyMs
    replies.prepare(snapshot)
  }
}

interface Wanted {
  readonly format: Format
  readonly trusted: boolean
  readonly verbose: boolean
  readonly stale: boolean
  readonly exclude: Excluded
  readonly group?: string | undefined
}

interface LastAsked {
  readonly accept: string | undefined
  readonly trusted: boolean
  readonly stale: boolean
  readonly reply: AdminReply
}

/** Replies to the last snapshot: the usual ones are made when it comes, the others when they are first asked for. */
class Replies {
  readonly #serviceName: string
  #snapshot: HealthSnapshot | undefined
  #prepared = new Map<string, AdminReply>()
  readonly #last = new Map<Endpoint, LastAsked>()
  /** A process that leaves needs no restart. */
  wedged: readonly CheckState[] = []

  constructor(serviceName: string) {
    this.#serviceName = serviceName
  }

  get hasChecks(): boolean {
    return (this.#snapshot?.checks.length ?? 0) > 0
  }

  prepare(snapshot: HealthSnapshot): void {
    this.#snapshot = snapshot
    this.wedged = snapshot.draining
      ? []
      : snapshot.checks.filter(({ status, cause }) => status === 'fail' && cause === 'self_wedged')
    this.#prepared = new Map()
    this.#last.clear()
    for (const trusted of [true, false])
      for (const [endpoint, format] of USUAL)
        this.#whole(endpoint, { format, trusted, verbose: false, stale: false, exclude: NOTHING })
  }

  whole(endpoint: Endpoint, request: AdminRequest, own: Format, stale: boolean, group?: string): AdminReply {
    const { trusted, query, headers } = request
    if (group !== undefined || query.size > 0) return this.#asked(endpoint, request, own, stale, group)
    // Who probes asks the same again and again: nothing is worked out twice.
    const { accept } = headers
    const last = this.#last.get(endpoint)
    if (last?.accept === accept && last?.trusted === trusted && last.stale === stale) return last.reply
    const made = this.#asked(endpoint, request, own, stale)
    this.#last.set(endpoint, { accept, trusted, stale, reply: made })
    return made
  }

  #asked(endpoint: Endpoint, request: AdminRequest, own: Format, stale: boolean, group?: string): AdminReply {
    return this.#whole(endpoint, {
      group,
      format: wantedFormat(request, own),
      trusted: request.trusted,
      verbose: request.query.has('verbose'),
      stale,
      exclude: excluded(request.query, this.#snapshot),
    })
  }

  /** One check by its name, or else the checks of a group. */
  part(endpoint: Endpoint, request: AdminRequest, own: Format, stale: boolean): AdminReply {
    const name = request.path.slice(endpoint.length + 2)
    const check = judge(endpoint, this.#snapshot).checks.find(({ state }) => state.name === name)
    if (!check) return groupOf(this.#snapshot, name) ? this.whole(endpoint, request, own, stale, name) : NOT_FOUND
    const { trusted } = request
    const format = wantedFormat(request, own)
    return this.#keep(`/${name} ${format} ${trusted} ${stale}`, () => {
      const verdict: Verdict = stale
        ? { ok: false, status: 'fail', code: 'stale', checks: [check] }
        : { ...judgeOne(check), checks: [check] }
      const body =
        format === 'text'
          ? renderCheck(verdict, check, trusted)
          : renderBody(format, verdict, { trusted, serviceName: this.#serviceName })
      return reply(verdict.ok ? 200 : 503, format, body)
    })
  }

  #whole(endpoint: Endpoint, wanted: Wanted): AdminReply {
    const { format, trusted, verbose, stale, exclude, group } = wanted
    const key = `${group ?? ''} ${endpoint} ${format} ${trusted} ${verbose} ${stale} ${exclude.unmatched} ${[...exclude.names].join(',')}`
    return this.#keep(key, () => {
      const snapshot = group === undefined ? this.#snapshot : groupOf(this.#snapshot, group)
      const verdict = judge(endpoint, snapshot, { stale, exclude: exclude.names })
      const body =
        format === 'text'
          ? renderText(endpoint, verdict, { verbose, trusted, unmatched: exclude.unmatched })
          : renderBody(format, verdict, { trusted, serviceName: this.#serviceName })
      return reply(verdict.ok ? 200 : 503, format, body)
    })
  }

  #keep(key: string, make: () => AdminReply): AdminReply {
    const known = this.#prepared.get(key)
    if (known) return known
    const made = make()
    // The keys come from outside: beyond the bound a reply is made again each time.
    if (this.#prepared.size < MOST_PREPARED) this.#prepared.set(key, made)
    return made
  }
}

/** What is not known yet fails where it is required. */
function judgeOne({ state, status = state.required ? 'fail' : 'warn' }: JudgedCheck): {
  ok: boolean
  status: ProbeStatus
} {
  return { ok: status !== 'fail', status }
}

interface Excluded {
  readonly names: ReadonlySet<string>
  /** A name was asked for that no check has. */
  readonly unmatched: boolean
}
const NOTHING: Excluded = { names: new Set(), unmatched: false }
const USUAL: readonly (readonly [Endpoint, Format])[] = [
  ['readyz', 'text'],
  ['readyz', 'health+json'],
  ['health', 'health+json'],
  ['startupz', 'text'],
]

/** `?exclude=a,b` and `?exclude=a&exclude=b`, in the order of the checks, so that equal wishes share one reply. */
function excluded(query: URLSearchParams, snapshot: HealthSnapshot | undefined): Excluded {
  if (!query.has('exclude')) return NOTHING
  const asked = new Set(
    query
      .getAll('exclude')
      .flatMap((part) => part.split(','))
      .filter((name) => name !== '')
      .slice(0, MOST_EXCLUDED),
  )
  const names = (snapshot?.checks ?? []).map((check) => check.name).filter((name) => asked.has(name))
  return { names: new Set(names), unmatched: names.length < asked.size }
}

const BROKEN = reply(503, 'text', '[-]health failed: the reply could not be made\n')
const NOT_FOUND = reply(404, 'text', 'no such check\n')
