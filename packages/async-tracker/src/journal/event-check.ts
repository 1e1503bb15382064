// What an event must have so that the patrol can reckon with it. A record may be whole and yet be of another version, or of
// somebody else's making: one that stopped the sweep would be read again at each, and nothing after it ever.
import type { JournalEvent } from '@afterspan/core/internal'

type Fields = Readonly<Record<string, unknown>>

const REQUIRED: Readonly<Record<JournalEvent['kind'], (event: Fields) => boolean>> = {
  acknowledged: ({ by }) => isText(by),
  answered: ({ origin, method, outcome }) => isTrace(origin) && isText(method) && isText(outcome),
  cancelled: ({ reason }) => isText(reason),
  confirmed: ({ description }) => isDescriptionOrAbsent(description),
  crashed: ({ failure }) => isFailure(failure),
  emptied: ({ system, ids }) => isText(system) && isIdsOrAbsent(ids),
  exiting: ({ code }) => isNumber(code),
  failed: ({ reason, failure }) => isText(reason) && isFailure(failure),
  heartbeat: always,
  lost: ({ reason, evidence }) => isText(reason) && isText(evidence),
  opened: ({ worker, resource }) => isWorker(worker) && isObject(resource),
  released: always,
  reported: ({ spanId }) => isText(spanId),
  sent: always,
  spawned: ({ system, destination, name, origin }) =>
    isText(system) && isText(destination) && isText(name) && isTrace(origin),
  started: ({ attempt, spanId, description }) =>
    isNumber(attempt) && isText(spanId) && isDescriptionOrAbsent(description),
  succeeded: always,
  thread_ended: ({ threadId, code }) => isNumber(threadId) && isNumber(code),
}

const OF_PROCESSES: ReadonlySet<string> = new Set([
  'answered',
  'crashed',
  'emptied',
  'exiting',
  'opened',
  'thread_ended',
])

/** Optional ones that are looked up, compared or put into a column. */
const TEXTS = [
  'destination',
  'route',
  'messageId',
  'parent',
  'reader',
  'target',
  'parentSpanId',
  'spanId',
  'signal',
] as const
const NUMBERS = [
  'count',
  'deadlineAt',
  'maxAttempts',
  'progress',
  'status',
  'startedAt',
  'promised',
  'exitCode',
] as const

/** Whether the event can be understood. Of a kind that is not known it cannot: a later version wrote it. */
export function isUnderstood(event: JournalEvent): boolean {
  const { kind } = event
  if (!Object.hasOwn(REQUIRED, kind)) return false
  const fields = event as unknown as Fields
  if (!isNumber(fields['at'])) return false
  if (OF_PROCESSES.has(kind) ? 'taskId' in fields : !isTaskId(fields['taskId'])) return false
  if (!REQUIRED[kind](fields)) return false
  for (const name of TEXTS) if (fields[name] !== undefined && !isText(fields[name])) return false
  for (const name of NUMBERS) if (fields[name] !== undefined && !isNumber(fields[name])) return false
  return isTraceOrAbsent(fields['origin']) && isTraceOrAbsent(fields['culprit']) && areTraces(fields['candidates'])
}

function always(): boolean {
  return true
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number'
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null
}

/** 48 hex characters; anything as long will do as a key. */
function isTaskId(value: unknown): boolean {
  return isText(value) && value.length === 48
}

function isDescriptionOrAbsent(value: unknown): boolean {
  if (value === undefined) return true
  return isObject(value) && isText(value['system']) && isText(value['destination']) && isText(value['name'])
}

function isIdsOrAbsent(value: unknown): boolean {
  if (value === undefined) return true
  if (!isObject(value) || !isText(value['prefix'])) return false
  const { keep, subject } = value
  return (keep === undefined || isNumber(keep)) && (subject === undefined || isText(subject))
}

function isTrace(value: unknown): boolean {
  return isObject(value) && isText(value['traceId']) && isText(value['spanId'])
}

function isTraceOrAbsent(value: unknown): boolean {
  return value === undefined || isTrace(value)
}

function areTraces(value: unknown): boolean {
  return value === undefined || (Array.isArray(value) && value.every(isTrace))
}

function isFailure(value: unknown): boolean {
  return isObject(value) && isText(value['type']) && isText(value['message'])
}

function isWorker(value: unknown): boolean {
  return isObject(value) && isText(value['bootId']) && isNumber(value['pid']) && isNumber(value['threadId'])
}
