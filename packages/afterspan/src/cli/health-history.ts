// Changes of health as episodes, for people and for programs: from the moment at which a check left `pass` until it was well again.
import type { HealthHistory } from '@afterspan/async-tracker/internal'
import type { HealthChange } from '@afterspan/core'
import { printable } from '@afterspan/core/internal'

/** What is known of the process that wrote a history. */
export type Writer = 'alive' | 'dead' | 'stalled' | 'unknown'

export interface Episode {
  readonly check: string
  readonly component: string
  readonly required: boolean
  /** All of it, the oldest first: it may have turned from warn to fail, and back. */
  readonly changes: readonly HealthChange[]
  readonly began_at: string
  /** When it was well again; absent while it is not. */
  readonly ended_at?: string
  readonly lasted_ms?: number
}
export interface Explained {
  readonly service: string
  readonly pid: number
  readonly process: Writer
  /** What each check that ever changed is now, or was when the process ended. */
  readonly now: Readonly<Record<string, HealthChange['to']>>
  /** The newest last. */
  readonly episodes: readonly Episode[]
}

export function explain({ worker, changes }: HealthHistory, writer: Writer): Explained {
  const episodes: { check: string; changes: HealthChange[] }[] = []
  const open = new Map<string, { check: string; changes: HealthChange[] }>()
  const now: Record<string, HealthChange['to']> = {}
  for (const change of changes) {
    const { name, to } = change
    now[name] = to
    const known = open.get(name)
    const episode = known ?? { check: name, changes: [] }
    if (!known) {
      open.set(name, episode)
      episodes.push(episode)
    }
    episode.changes.push(change)
    if (to === 'pass') open.delete(name)
  }
  return { service: worker.service, pid: worker.pid, process: writer, now, episodes: episodes.map(toEpisode) }
}

function toEpisode({ check, changes }: { readonly check: string; readonly changes: readonly HealthChange[] }): Episode {
  const first = changes[0]!
  const last = changes.at(-1)!
  // The beginning may have been overwritten: then what remains says since when it was bad.
  const beganAt = first.to === 'pass' ? (first.since ?? first.at) : first.at
  return {
    check,
    component: first.component,
    required: first.required,
    changes,
    began_at: new Date(beganAt).toISOString(),
    ...(last.to === 'pass' ? { ended_at: new Date(last.at).toISOString(), lasted_ms: last.at - beganAt } : {}),
  }
}

const PROCESS: Readonly<Record<Writer, string>> = {
  alive: 'running',
  dead: 'gone',
  stalled: 'stopped by a signal',
  unknown: 'on another host, or out of sight',
}

export function explainedText(all: readonly Explained[]): string {
  if (all.length === 0) return 'no change of health is known: all checks were well from the first, or none ran'
  return all.map(processText).join('\n\n')
}

function processText({ service, pid, process, now, episodes }: Explained): string {
  const bad = Object.entries(now).filter(([, status]) => status !== 'pass')
  const is = process === 'alive' ? 'now' : 'when it was last heard of'
  const sum =
    bad.length === 0
      ? `every check that had changed is well ${is}`
      : `${is}: ${bad.map(([name, status]) => `${name} ${status}`).join(', ')}; all else well`
  return [`${printable(service)} pid ${pid} (${PROCESS[process]})`, ...episodes.flatMap(episodeLines), `  ${sum}`].join(
    '\n',
  )
}

function episodeLines({ check, required, changes, ended_at, lasted_ms }: Episode): string[] {
  const name = printable(check)
  const bad = changes.filter(({ to }) => to !== 'pass')
  const end =
    ended_at === undefined
      ? `    ${''.padEnd(23)}  it was not well again`
      : `    ${time(ended_at)}  well again after ${((lasted_ms ?? 0) / 1000).toFixed(1)} s${spanText(changes.at(-1))}`
  return [`  ${name}${required ? '' : ' (optional)'}`, ...bad.flatMap(changeLines), end]
}

function changeLines(change: HealthChange): string[] {
  const { from, to, at, code, reason, madeAt, observed, evidence = [] } = change
  const measured = Object.entries(observed ?? {}).map(
    ([key, { value, unit }]) => `${key} ${value}${unit === undefined || unit === 'count' ? '' : ` ${unit}`}`,
  )
  const details = [
    reason,
    measured.length > 0 ? measured.join(', ') : undefined,
    madeAt === undefined ? undefined : `its client was made at ${madeAt}`,
    ...evidence.map(
      ({ trace, route, error, waitingMs }) =>
        `shown by ${route ?? 'a call'} in trace ${trace.traceId}: ${error ?? `no answer for ${waitingMs ?? 0} ms`}`,
    ),
  ].filter((line) => line !== undefined)
  const head = `${from === undefined ? to : `${from} to ${to}`}${code === undefined ? '' : ` (${code})`}`
  return [
    `    ${time(new Date(at).toISOString())}  ${head}${spanText(change)}`,
    ...details.map((line) => `      ${printable(line)}`),
  ]
}

function spanText(change: HealthChange | undefined): string {
  return change?.trace ? `, told in trace ${change.trace.traceId}` : ''
}

function time(iso: string): string {
  return iso.replace('T', ' ')
}
