// What was told lately of tasks that failed, so that an error which then reaches the last handlers of the process is known again: a call
// without a listener for its errors is one failure, not two. Instrumentations keep the text of an error and not the error, and libraries
// wrap it in their own; so it is known by its words, within its trace.
import type { TaskFailure } from '../contracts/task.ts'
import { isAbort } from './aborted.ts'
import { toFailure } from './redact.ts'

interface Told extends Pick<TaskFailure, 'type' | 'message'> {
  readonly traceId: string
  readonly atMs: number
}

const MOST = 256
const RECENT_MS = 1_000
/** An error, what caused it, and so on. */
const DEEPEST = 5
const ring: Told[] = []
let next = 0

export function noteTold(traceId: string, { type, message }: Pick<TaskFailure, 'type' | 'message'>): void {
  ring[next] = { traceId, type, message, atMs: performance.now() }
  next = (next + 1) % MOST
}

/** Whether a failed task has told of the error a moment ago: one in this trace, or in any where nobody can say whose the error is. */
export function isTold(error: unknown, traceId: string | undefined): boolean {
  const since = performance.now() - RECENT_MS
  const recent = ring.filter((told) => told.atMs >= since && (traceId === undefined || told.traceId === traceId))
  if (recent.length === 0) return false
  for (let depth = 0, each = error; depth < DEEPEST && typeof each === 'object' && each !== null; depth++) {
    const message = wordsOf(each)
    if (message && recent.some((told) => told.message === message)) return true
    const types = typesOf(each)
    if (traceId !== undefined && recent.some(({ type }) => types.includes(type))) return true
    each = read(each, 'cause')
  }
  return false
}

function wordsOf(error: object): string {
  try {
    return toFailure(error).message
  } catch {
    return ''
  }
}

/** What a call or a child process that failed is called, by what libraries put on their errors. */
function typesOf(error: object): readonly string[] {
  const response = read(error, 'response')
  const status = [read(response, 'status'), read(response, 'statusCode')].find((each) => typeof each === 'number')
  const ofCall = typeof status === 'number' ? [String(status)] : isAbort(error) ? ['AbortError'] : []
  // execa and zx.
  const exitCode = read(error, 'exitCode')
  if (typeof exitCode === 'number') return [...ofCall, `exit_${exitCode}`]
  if (typeof read(error, 'cmd') !== 'string') return ofCall
  // Ended with a code, by a signal, or by Node, since it said too much.
  const [code, signal] = [read(error, 'code'), read(error, 'signal')]
  return [...ofCall, typeof code === 'number' ? `exit_${code}` : String(code ?? signal)]
}

/** The app's own getters may throw. */
function read(from: unknown, key: string): unknown {
  try {
    return (from as Record<string, unknown> | null | undefined)?.[key]
  } catch {
    return undefined
  }
}
