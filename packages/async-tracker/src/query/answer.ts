// What the patrol answers when it is asked: the same words over its socket, on the admin listener and from the command line.
import { TASK_STATES, type EpochMs, type TaskRecord, type TaskState } from '@afterspan/core/internal'
import { makeReceipt, recordsOf, type RecordSource } from '../receipt.ts'

export interface Answer {
  readonly status: number
  readonly body: unknown
}

const MOST_ROWS = 1_000

/** `/receipt/<trace id>` and `/tasks?trace=&state=&route=&since=&limit=`. A question that is not understood gets 400 with what is allowed. */
export async function answer(path: string, query: URLSearchParams, source: RecordSource): Promise<Answer> {
  const receipt = /^\/receipt\/([^/]+)$/.exec(path)
  if (receipt) {
    const traceId = receipt[1]!.toLowerCase()
    if (!/^[0-9a-f]{32}$/.test(traceId)) return refuse('a trace id is 32 hex characters')
    return { status: 200, body: await makeReceipt(traceId, source) }
  }
  if (path === '/tasks') return listTasks(query, source)
  return { status: 404, body: { error: 'not found' } }
}

async function listTasks(query: URLSearchParams, source: RecordSource): Promise<Answer> {
  const traceId = query.get('trace')?.toLowerCase()
  if (traceId !== undefined && !/^[0-9a-f]{32}$/.test(traceId)) return refuse('a trace id is 32 hex characters')
  const states =
    query
      .get('state')
      ?.split(',')
      .filter((word) => word !== '') ?? []
  const unknown = states.find((word) => !TASK_STATES.includes(word as TaskState))
  if (unknown !== undefined)
    return refuse(`${JSON.stringify(unknown)} is not a state: allowed are ${TASK_STATES.join(', ')}`)
  const since = Number(query.get('since') ?? 0)
  const limit = Number(query.get('limit') ?? 100)
  if (!Number.isFinite(since) || !Number.isInteger(limit) || limit < 1)
    return refuse('since is a time in ms, limit a whole number from 1')
  const route = query.get('route')
  const rows = await source.ledger.find({
    states: states as TaskState[],
    limit: Math.min(limit, MOST_ROWS),
    ...(traceId ? { traceId } : {}),
    ...(route ? { route } : {}),
    ...(since > 0 ? { since: since as EpochMs } : {}),
  })
  const keys = [...new Set(rows.map((row) => row.requestKey).filter((key) => key !== undefined))]
  const requests = [...(await source.ledger.requests(keys)).values()]
  return { status: 200, body: { tasks: (await recordsOf(rows, requests, source)).map(toFlatRow) } }
}

function refuse(error: string): Answer {
  return { status: 400, body: { error } }
}

/** One row of `afterspan tasks`: flat, for jq and for eyes. */
export interface FlatTask {
  readonly [column: string]: string | number | boolean | null | readonly string[]
}

export function toFlatRow(task: TaskRecord): FlatTask {
  const failure = task.failure ?? task.attempts.findLast((attempt) => attempt.failure)?.failure
  return {
    task_id: task.taskId,
    trace_id: task.origin.traceId,
    state: task.state,
    reason: task.reason ?? null,
    evidence: task.evidence ?? null,
    error_type: failure?.type ?? null,
    error_message: failure?.message ?? null,
    attempt: task.attempts.at(-1)?.n ?? 0,
    attempts: task.attempts.length,
    depth: task.depth,
    overdue: task.flags.overdue,
    stalled: task.flags.stalled,
    recovered: task.flags.recovered,
    duplicate: task.flags.duplicate,
    conflict: task.flags.conflict,
    unheard: task.flags.unheard,
    confirmed: task.confirmed,
    sampled: task.origin.sampled,
    unattributed: task.candidates !== undefined,
    candidates: task.candidates?.map(({ traceId }) => traceId) ?? null,
    exit_code: task.exitCode ?? null,
    signal: task.signal ?? null,
    system: task.system,
    destination: task.destination,
    name: task.name,
    route: task.route ?? null,
    request_status: task.requestStatus ?? null,
    message_id: task.messageId ?? null,
    reader: task.reader ?? null,
    copy_of: task.copyOf ?? null,
    progress: task.progress ?? null,
    heartbeat_at: task.heartbeatAt === undefined ? null : new Date(task.heartbeatAt).toISOString(),
    worker_pid: task.attempts.at(-1)?.worker.pid ?? null,
    spawned_at: new Date(task.spawnedAt).toISOString(),
    settled_at: task.settledAt === undefined ? null : new Date(task.settledAt).toISOString(),
    reported_at: task.reportedAt === undefined ? null : new Date(task.reportedAt).toISOString(),
  }
}
