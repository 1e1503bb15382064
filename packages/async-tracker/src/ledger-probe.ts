// The ledger's own check. The question goes to the side thread and from there to whoever patrols; nothing is read on the app's thread.
import type { Clock, HealthProbe, ProbeResult } from '@afterspan/core/internal'
import type { LedgerStanding } from './patrol/standing.ts'
import type { Answer } from './query/answer.ts'

const INTERVAL_MS = 5_000
/** The side thread gives a patrol two seconds to begin. */
const TIMEOUT_MS = 5_000
/** Sweeps come four times a second; one may take long after a bad night. */
const SILENT_MS = 30_000

/** From one patrol to the next, and for a database that was away for a moment, there may be nobody to ask. */
const GRACE_MS = 5_000

export interface AskStanding {
  readonly kind: 'standing?'
  readonly id: number
}
export type ToLedgerProbe =
  | { readonly kind: 'work' }
  | { readonly kind: 'standing'; readonly id: number; readonly answer: Answer }

export interface LedgerProbe extends HealthProbe {
  /** 'work': there is something to patrol from now on. */
  hear(message: ToLedgerProbe): ToLedgerProbe['kind']
}

/** Optional: what was promised yesterday and is broken is no reason to take an instance out today. */
export function createLedgerProbe(
  post: (question: AskStanding) => void,
  clock: Pick<Clock, 'monotonicMs'>,
): LedgerProbe {
  const waiting = new Map<number, (answer: Answer) => void>()
  let last = 0
  let unansweredSince: number | undefined
  const judge = (answer: Answer): ProbeResult => {
    if (answer.status === 200) unansweredSince = undefined
    else if (clock.monotonicMs() - (unansweredSince ??= clock.monotonicMs()) < GRACE_MS) return { status: 'pass' }
    return judgeStanding(answer)
  }
  return {
    name: 'ledger',
    component: 'ledger',
    criticality: 'optional',
    intervalMs: INTERVAL_MS,
    timeoutMs: TIMEOUT_MS,
    check: (signal) =>
      new Promise((resolve, reject) => {
        const id = ++last
        waiting.set(id, (answer) => {
          resolve(judge(answer))
        })
        signal.addEventListener(
          'abort',
          () => {
            waiting.delete(id)
            reject(new Error('the side thread has not answered'))
          },
          { once: true },
        )
        post({ kind: 'standing?', id })
      }),
    hear(message) {
      if (message.kind === 'standing') {
        waiting.get(message.id)?.(message.answer)
        waiting.delete(message.id)
      }
      return message.kind
    },
  }
}

/** What an answer means. Pure. */
export function judgeStanding({ status, body }: Answer): ProbeResult {
  if (status !== 200) {
    const { error = '' } = body as { readonly error?: string }
    return /patrol/.test(error)
      ? bad('no_patrol', 'nobody patrols this ledger folder: what processes leave behind is not found', 'fail')
      : bad('ledger_unavailable', error, 'fail')
  }
  const standing = body as LedgerStanding
  const { lost, falseSuccesses, overdue, open, oldestOpenMs, sweptMsAgo, windowMs } = standing
  const count = (value: number): { value: number; unit: string } => ({ value, unit: 'count' })
  const ms = (value: number): { value: number; unit: string } => ({ value: Math.round(value), unit: 'ms' })
  const observed = {
    lost: count(lost),
    falseSuccesses: count(falseSuccesses),
    open: count(open),
    overdue: count(overdue),
    ...(oldestOpenMs === undefined ? {} : { oldestOpen: ms(oldestOpenMs) }),
    lastSweep: ms(sweptMsAgo),
  }
  const lately = `in the last ${Math.round(windowMs / 60_000)} minutes`
  const news = [
    sweptMsAgo > SILENT_MS &&
      bad('patrol_silent', `the patrol has not swept for ${Math.round(sweptMsAgo / 1000)} s`, 'fail'),
    lost > 0 && bad('tasks_lost', `${lost} task${lost === 1 ? ' was' : 's were'} lost ${lately}`),
    falseSuccesses > 0 &&
      bad(
        'false_success',
        `${falseSuccesses} request${falseSuccesses === 1 ? '' : 's'} answered well did not keep the promise, ${lately}`,
      ),
    overdue > 0 && bad('task_overdue', `${overdue} open task${overdue === 1 ? ' is' : 's are'} beyond the deadline`),
  ].find((result) => result !== false)
  return { ...(news || { status: 'pass' }), observed }
}

function bad(code: string, reason: string, status: 'fail' | 'warn' = 'warn'): ProbeResult {
  return { status, code, reason, cause: 'self_recoverable' }
}
