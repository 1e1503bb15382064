import { sayLost } from '@afterspan/async-tracker/internal'
import type { AttemptRecord, Receipt, TaskRecord } from '@afterspan/core'
import { printable } from '@afterspan/core/internal'

const VERDICTS: Readonly<Record<Receipt['verdict'], string>> = {
  kept: 'kept: everything that was promised has been done',
  broken: 'broken: the answer promised work that failed or was lost',
  open: 'open: some of the work has not ended yet',
  promised_nothing: 'nothing was promised beyond the answer',
  unknown: 'the ledger does not know this trace',
}
const MARKS: Readonly<Record<string, string>> = { succeeded: '✓', failed: '✗', lost: '✗', cancelled: '–' }

/** A receipt for people. Text from outside is escaped. */
export function receiptText(receipt: Receipt): string {
  const { traceId, request, verdict, tasks, omitted } = receipt
  const lines = [`trace    ${traceId}`]
  if (request) {
    const { method, route, status, at, service, outcome } = request
    const answer = status === undefined ? (outcome ?? 'not answered') : String(status)
    lines.push(
      `request  ${[method, route].filter(Boolean).join(' ')} → ${answer} at ${clock(at)}${service ? `, ${service}` : ''}`,
    )
  }
  lines.push(`verdict  ${VERDICTS[verdict]}`)
  if (tasks.length > 0) lines.push('', ...tasks.flatMap(taskLines))
  if (omitted) lines.push('', `and ${omitted} more that are well or wait behind these`)
  return lines.map((line) => printable(line)).join('\n')
}

function taskLines(task: TaskRecord): string[] {
  const { state, name, system, destination, flags, reason, attempts, depth, reader } = task
  const whose = reader === undefined || reader === destination ? '' : ` for ${reader}`
  const where = name === destination ? system : `${system} ${destination}`
  const indent = '  '.repeat(depth)
  const flagged = Object.entries(flags)
    .filter(([, isSet]) => isSet)
    .map(([flag]) => flag)
  const words = [`${indent}${MARKS[state] ?? '…'} ${name} (${where})${whose} ${state}`]
  if (reason) words.push(`: ${reason}`)
  if (task.evidence) words.push(`, proof: ${task.evidence}`)
  if (task.progress !== undefined && task.settledAt === undefined) words.push(`, ${Math.floor(task.progress * 100)} %`)
  if (flagged.length > 0) words.push(` [${flagged.join(', ')}]`)
  const lines = [words.join('')]
  for (const attempt of attempts) lines.push(`${indent}    ${attemptLine(attempt)}`)
  const hint = hintOf(task)
  if (hint) lines.push(`${indent}    ${hint}`)
  return lines
}

function attemptLine({ n, worker, startedAt, endedAt, state, reason, failure }: AttemptRecord): string {
  const who = worker.pid ? `pid ${worker.pid}${worker.service ? ` ${worker.service}` : ''}` : 'unknown worker'
  const took = endedAt === undefined ? 'still running' : `${endedAt - startedAt} ms`
  const why = failure ? `: ${failure.type}: ${failure.message}` : reason ? `: ${reason}` : ''
  return `attempt ${n}  ${clock(startedAt)}  ${took.padEnd(9)}  ${who}  ${state}${why}`
}

function hintOf(task: TaskRecord): string | undefined {
  const { state, reason, evidence, exitCode, signal, settledAt, confirmed, system } = task
  if (state === 'failed' && task.failure?.message) return `${task.failure.type}: ${task.failure.message}`
  if (state !== 'lost' || !reason || !evidence || settledAt === undefined) return undefined
  const failure = task.failure ?? task.attempts.at(-1)?.failure
  const how = sayLost({
    at: settledAt,
    reason,
    evidence,
    ...(exitCode === undefined ? {} : { exitCode }),
    ...(signal ? { signal } : {}),
    ...(failure ? { failure } : {}),
  })
  return confirmed && system !== 'process'
    ? `${how}; ${system} still has the job, and a redelivery makes it recovered`
    : how
}

function clock(at: number): string {
  return new Date(at).toISOString().replace('T', ' ')
}
