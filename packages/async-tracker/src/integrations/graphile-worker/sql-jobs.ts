// Which jobs a statement of the app has added, by its text and by what came back.
import { isObject } from '../sending/bag.ts'
import { resultsOf, type Answer } from './sql-client.ts'

export interface AddedJob {
  readonly id: string
  readonly task: string
}

/** The first argument, as a text or as a parameter; whatever schema the function stands in. */
const CALL = /\badd_job"?\s*\(\s*(?:identifier\s*(?:=>|:=)\s*)?(?:'((?:[^']|'')+)'|\$(\d+))\s*(?:::\s*[\w ]+)?\s*[,)]/i
const KNOWN_SCHEMA = /\bgraphile_worker"?\s*\.\s*"?add_job\b/i
/** The row as one value, as `select add_job(…)` has it: its number comes first. */
const WHOLE_ROW = /^\((\d+),/

/** What the library itself asks for: that is told by its addJob(), or is not to be told. */
const ITS_OWN = /\bidentifier\s*=>\s*\$1::text,\s*payload\s*=>\s*\$2::json,\s*queue_name\s*=>/

export function mayAdd(text: string): boolean {
  return text.includes('add_job') && !ITS_OWN.test(text)
}

/** Nothing where it cannot be told. TimescaleDB has a function of that name too: what that gives back is a number. */
export function addedJobs(text: string, values: readonly unknown[], answer: Answer): readonly AddedJob[] {
  const [, literal, parameter] = CALL.exec(text) ?? []
  const task = literal?.replaceAll("''", "'") ?? (parameter ? values[Number(parameter) - 1] : undefined)
  if (typeof task !== 'string' || task === '') return []
  const isKnown = KNOWN_SCHEMA.test(text)
  return resultsOf(answer)
    .flatMap(({ rows }) => rows ?? [])
    .map((row) => idIn(row, isKnown))
    .filter((id) => id !== undefined)
    .map((id) => ({ id, task }))
}

function idIn(row: unknown, isKnown: boolean): string | undefined {
  if (!isObject(row)) return undefined
  const { id } = row
  const isNumber = (typeof id === 'string' && /^\d+$/.test(id)) || typeof id === 'number' || typeof id === 'bigint'
  if (isNumber && (isKnown || 'task_id' in row)) return String(id)
  for (const value of Object.values(row)) {
    const [, first] = typeof value === 'string' ? (WHOLE_ROW.exec(value) ?? []) : []
    if (first !== undefined) return first
  }
  return undefined
}
