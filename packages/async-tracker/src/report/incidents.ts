// What people want to be told of at once. Pure: what the ledger knew and knows now, and the events between, in; incidents out.
import type { Incident, TaskFailure, TaskId } from '@afterspan/core/internal'
import type { TaskRow } from '../ledger/store.ts'
import type { Batch } from '../patrol/digest.ts'
import type { TaskFacts } from '../task-facts.ts'

/** One for each task that has failed or was lost for good, and one for each process that crashed; `serviceOf` whom. */
export function incidentsOf(
  batches: readonly Batch[],
  now: readonly TaskRow[],
  before: ReadonlyMap<TaskId, TaskRow>,
  serviceOf: (by: string) => string | undefined,
): Incident[] {
  const incidents: Incident[] = []
  for (const { events } of batches)
    for (const event of events)
      if (event.kind === 'crashed') {
        const { at, failure, culprit } = event
        incidents.push({ kind: 'crash', at, failure, ...(culprit ? { trace: culprit } : {}) })
      }
  for (const { facts, derived } of now) {
    const { state, settledAt } = derived
    if (state !== 'failed' && state !== 'lost') continue
    const known = before.get(facts.taskId)?.derived
    // Lost again is news again; an earlier end of the same kind that is read later is none.
    if (known?.state === state && (state === 'failed' || known.settledAt === settledAt)) continue
    const { taskId, origin, spawned, attempts } = facts
    const by = attempts.at(-1)?.by ?? spawned?.by
    const service = by === undefined ? undefined : serviceOf(by)
    incidents.push({
      kind: state === 'failed' ? 'task_failed' : 'task_lost',
      at: settledAt ?? spawned?.at ?? (0 as Incident['at']),
      taskId,
      failure: failureOf(facts) ?? { type: derived.reason ?? state, message: facts.description?.name ?? '' },
      ...(origin ? { trace: origin } : {}),
      ...(spawned?.route ? { route: spawned.route } : {}),
      ...(service ? { service } : {}),
    })
  }
  return incidents
}

/** More of one kind, failure and route than people want to be told of one by one are one, of the newest, with their number. */
export function grouped(incidents: readonly Incident[]): Incident[] {
  const groups = Map.groupBy(incidents, ({ kind, failure, route, service }) =>
    JSON.stringify([kind, failure?.type, route, service]),
  )
  return [...groups.values()].flatMap((group) => {
    if (group.length <= MOST_ALONE) return group
    const newest = group.reduce((one, other) => (other.at >= one.at ? other : one))
    return [{ ...newest, count: group.length }]
  })
}
const MOST_ALONE = 5

/** The last that is known. */
function failureOf({ attempts, ends }: TaskFacts): TaskFailure | undefined {
  const all = [...attempts.flatMap(({ lost, end }) => [lost?.failure, end?.failure]), ...ends.map((end) => end.failure)]
  return all.findLast((failure) => failure !== undefined)
}
