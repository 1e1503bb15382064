// The state of a task, told a second time and in another way: event after event in the order of time, as a person would follow them.
import type { TaskState } from '@afterspan/core/internal'
import type { Told } from './sample-events.ts'

export interface NaiveState {
  readonly state: TaskState
  readonly reason?: string
  readonly settledAt?: number
  readonly recovered: boolean
  readonly duplicate: boolean
  readonly conflict: boolean
}

interface Run {
  readonly by: string
  readonly from: number
  word?: 'succeeded' | 'failed' | 'retrying' | 'released' | 'cancelled'
  wordAt?: number
  reason?: string | undefined
  lostAt?: number
  lostReason?: string
}
interface Last {
  readonly state: 'succeeded' | 'failed' | 'cancelled'
  readonly at: number
  readonly reason?: string | undefined
  readonly span?: string | undefined
}

class Story {
  readonly runs = new Map<string, Run>()
  readonly lasts: Last[] = []
  readonly losses: { readonly at: number; readonly reason: string }[] = []
  isConfirmed = false

  tell({ by, event }: Told): void {
    switch (event.kind) {
      case 'confirmed':
        this.isConfirmed = true
        return
      case 'started':
        if (!this.runs.has(event.spanId)) this.runs.set(event.spanId, { by, from: event.at })
        return
      case 'succeeded':
      case 'released':
        this.end(this.runOf(event.spanId, by), event.kind, event.at)
        return
      case 'failed':
      case 'cancelled': {
        const word = event.kind === 'failed' && event.willRetry ? 'retrying' : event.kind
        const run = this.runOf(event.spanId, by)
        if (run) this.end(run, word, event.at, event.reason)
        else if (word !== 'retrying') this.lasts.push({ state: word, at: event.at, reason: event.reason })
        return
      }
      case 'lost': {
        const run = event.spanId === undefined ? undefined : this.runs.get(event.spanId)
        if (run && run.lostAt === undefined) Object.assign(run, { lostAt: event.at, lostReason: event.reason })
        if (event.spanId === undefined) this.losses.push({ at: event.at, reason: event.reason })
        return
      }
      default:
    }
  }

  private runOf(span: string | undefined, by: string): Run | undefined {
    if (span !== undefined) return this.runs.get(span)
    return [...this.runs.values()].filter((run) => run.by === by && !run.word).at(-1)
  }

  private end(run: Run | undefined, word: NonNullable<Run['word']>, at: number, reason?: string): void {
    if (run?.word === 'failed' && run.reason === 'rejected' && reason === 'handled')
      Object.assign(run, { word, reason })
    else if (run && !run.word) Object.assign(run, { word, wordAt: at, reason })
  }
}

/** The events must be in the order of time. */
export function naiveState(told: readonly Told[]): NaiveState {
  const story = new Story()
  for (const one of told) story.tell(one)
  const runs = [...story.runs.values()]
  const lasts = [...story.lasts, ...runs.flatMap(lastOf)].sort((a, b) => a.at - b.at)
  const flags = {
    duplicate: runs.filter((run) => run.word === 'succeeded').length > 1 || runs.some((a, i) => overlaps(a, runs, i)),
    conflict: new Set(lasts.map(({ state }) => state)).size > 1,
  }
  const [first] = lasts
  if (first) {
    const { state, at, reason } = first
    return { state, settledAt: at, ...(reason ? { reason } : {}), recovered: isRecovered(story, runs), ...flags }
  }
  const open = unsettled(story, runs)
  return { ...open, recovered: open.state !== 'lost' && isRecovered(story, runs), ...flags }
}

function lastOf({ word, wordAt, reason }: Run): Last[] {
  return word === 'succeeded' || word === 'failed' || word === 'cancelled' ? [{ state: word, at: wordAt!, reason }] : []
}

function unsettled(story: Story, runs: readonly Run[]): Pick<NaiveState, 'state' | 'reason' | 'settledAt'> {
  if (runs.some((run) => !run.word && run.lostAt === undefined)) return { state: 'running' }
  const newest = runs.at(-1)
  const word = story.losses.filter(({ at, reason }) => !newest || (reason !== 'never_enqueued' && at > newest.from))
  const loss = word.at(-1)
  if (loss) return { state: 'lost', reason: loss.reason, settledAt: loss.at }
  if (!newest) return { state: story.isConfirmed ? 'enqueued' : 'pending' }
  if (newest.word === 'released') return { state: 'enqueued' }
  if (newest.word) return { state: 'retrying', ...(newest.reason ? { reason: newest.reason } : {}) }
  return { state: 'lost', reason: newest.lostReason!, settledAt: newest.lostAt! }
}

function isRecovered(story: Story, runs: readonly Run[]): boolean {
  const spokeAfterAll = runs.some((run) => run.lostAt !== undefined && run.word !== undefined)
  const wasTakenUp = runs.some((run, i) => run.lostAt !== undefined && i < runs.length - 1)
  const wasFound = story.losses.some(({ at, reason }) =>
    reason === 'never_enqueued' ? runs.length > 0 : runs.some((run) => run.from > at),
  )
  return spokeAfterAll || wasTakenUp || wasFound
}

/** Whether a run was still busy when a later one began. One whose process died was not. */
function overlaps(run: Run, runs: readonly Run[], i: number): boolean {
  if (!run.word && run.lostAt !== undefined) return false
  const until = run.word ? run.wordAt! : Infinity
  return runs.slice(i + 1).some(({ from }) => from < until)
}
