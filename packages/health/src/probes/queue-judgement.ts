// What follows from how much waits in a queue of jobs, and who is there to run it: the same for each library of queues.
import type { ProbeResult } from '@afterspan/core/internal'

export interface QueueThresholds {
  /** What a queue beyond one of them is. */
  readonly status: 'warn' | 'fail'
  /** 0: never. */
  readonly mostWaiting: number
  readonly oldestMs: number
}
export interface QueueAnswer {
  /** What could run now. */
  readonly waiting: number
  readonly active: number
  readonly delayed?: number
  readonly isPaused?: boolean
  /** Of those that wait. */
  readonly oldestMs?: number
  /** Known where jobs wait and none is at work, or some are stalled. */
  readonly workers?: number
  /** Jobs at work that nobody holds a lock of: since a moment ago, they are not worth a word. */
  readonly unlocked?: number
  /** Jobs that stand as being at work, whose worker has not said so for longer than it may, and that nobody has taken back since. */
  readonly stalled?: number
}

export function judgeQueue(answer: QueueAnswer, name: string, thresholds: QueueThresholds): ProbeResult {
  const { waiting, isPaused, oldestMs, workers, stalled = 0 } = answer
  const { status, mostWaiting, oldestMs: mostMs } = thresholds
  const observed = observedOf(answer, name)
  const beyond = (code: string, reason: string): ProbeResult => ({
    status,
    code,
    cause: 'dependency',
    reason,
    observed,
  })
  if (waiting > 0 && isPaused) return beyond('queue_paused', 'jobs wait, and the queue is paused')
  if (waiting > 0 && workers === 0) return beyond('no_worker', 'jobs wait, and nobody is there to run them')
  if (stalled > 0) return beyond('jobs_stalled', 'who had jobs at work is gone or late, and nobody takes them back')
  if (mostMs > 0 && oldestMs !== undefined && oldestMs > mostMs)
    return beyond('waiting_too_long', 'the oldest job has waited for longer than it may')
  if (mostWaiting > 0 && waiting > mostWaiting) return beyond('too_many_waiting', 'more jobs wait than may')
  return { status: 'pass', observed }
}

/** Of several queues the one that is worst, and among those that are alike the one that has waited longest. */
export function worstQueue(answers: ReadonlyMap<string, QueueAnswer>, thresholds: QueueThresholds): ProbeResult {
  let worst: { readonly result: ProbeResult; readonly waitedMs: number } | undefined
  for (const [name, answer] of answers) {
    const result = judgeQueue(answer, name, thresholds)
    const waitedMs = answer.oldestMs ?? 0
    const isWorse =
      !worst || (worst.result.status === result.status ? waitedMs > worst.waitedMs : result.status !== 'pass')
    if (isWorse) worst = { result, waitedMs }
  }
  return worst?.result ?? { status: 'pass' }
}

function observedOf(answer: QueueAnswer, name: string): NonNullable<ProbeResult['observed']> {
  const { waiting, active, delayed, oldestMs, workers, stalled, unlocked } = answer
  const count = (value: number): { value: number; unit: string } => ({ value, unit: 'count' })
  return {
    queue: { value: name, unit: 'queue' },
    waiting: count(waiting),
    active: count(active),
    ...(delayed === undefined ? {} : { delayed: count(delayed) }),
    ...(oldestMs === undefined ? {} : { oldest: { value: Math.round(oldestMs), unit: 'ms' } }),
    ...(workers === undefined ? {} : { workers: count(workers) }),
    ...(unlocked ? { unlocked: count(unlocked) } : {}),
    ...(stalled ? { stalled: count(stalled) } : {}),
  }
}

/** Of the server behind the queue. */
export function sick(code: string, reason: string): ProbeResult {
  return { status: 'fail', code, cause: 'dependency', reason }
}
