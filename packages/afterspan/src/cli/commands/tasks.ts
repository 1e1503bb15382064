import type { FlatTask } from '@afterspan/async-tracker/internal'
import { printable } from '@afterspan/core/internal'
import { UsageError, type Command } from '../command.ts'
import { askLedger, knownFolder } from '../ledger-question.ts'
import { textTable } from '../text-table.ts'
import { traceIdIn } from '../trace-id.ts'

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const USUAL_ROWS = 100
const MOST_ROWS = 1_000
const COLUMNS = [
  'spawned_at',
  'state',
  'reason',
  'system',
  'name',
  'attempt',
  'route',
  'error_message',
  'trace_id',
] as const

export const tasks: Command = {
  name: 'tasks',
  summary: 'the work behind requests, newest first',
  usage: '[--trace ID] [--state failed,lost] [--route R] [--since 1h] [--limit N] [--json] [--dir FOLDER]',
  details: [
    '  --trace ID      of one trace',
    '  --state WORDS   pending, enqueued, running, retrying, succeeded, failed, cancelled, lost; commas between them',
    '  --route R       promised by requests to this route',
    '  --since 1h      spawned within the last seconds (30s), minutes (15m), hours or days',
    `  --limit N       at most so many rows (default ${USUAL_ROWS}, most ${MOST_ROWS})`,
    '  --json          an array of flat rows',
    '  --dir FOLDER    the ledger folder',
  ].join('\n'),
  options: {
    trace: { type: 'string' },
    state: { type: 'string' },
    route: { type: 'string' },
    since: { type: 'string' },
    limit: { type: 'string' },
    json: { type: 'boolean' },
    dir: { type: 'string' },
  },
  async run({ values, print, complain }) {
    const { limit } = values
    if (typeof limit === 'string' && (!/^[1-9]\d{0,3}$/.test(limit) || Number(limit) > MOST_ROWS))
      throw new UsageError(`--limit ${JSON.stringify(limit)}: allowed is a whole number from 1 to ${MOST_ROWS}`)
    const query = new URLSearchParams()
    for (const name of ['state', 'route', 'limit']) {
      const value = values[name]
      if (typeof value === 'string') query.set(name, value)
    }
    if (typeof values['trace'] === 'string') query.set('trace', traceIdIn(values['trace']))
    if (typeof values['since'] === 'string') query.set('since', String(Date.now() - durationMs(values['since'])))
    const { status, body } = await askLedger(knownFolder(values['dir']), '/tasks', query)
    if (status !== 200) {
      complain(`afterspan tasks: ${(body as { error?: string }).error ?? status}`)
      return status === 400 ? 2 : 1
    }
    const rows = (body as { readonly tasks: readonly FlatTask[] }).tasks
    print(values['json'] ? JSON.stringify(rows, null, 2) : table(rows))
    if (!values['json'] && rows.length === Number(limit ?? USUAL_ROWS)) complain(more(rows.length))
    return 0
  },
}

/** Beside the table, so that whoever counts its lines counts no other. */
function more(shown: number): string {
  const further = shown < MOST_ROWS ? `--limit shows up to ${MOST_ROWS}, ` : ''
  return `afterspan tasks: these are the newest ${shown}; ${further}--state, --route and --since choose among all`
}

function durationMs(text: string): number {
  const found = /^(\d{1,9})([smhd])$/.exec(text)
  if (!found) throw new UsageError(`--since ${JSON.stringify(text)}: allowed is a number with s, m, h or d, like 15m`)
  return Number(found[1]) * UNITS[found[2]!]!
}

function table(rows: readonly FlatTask[]): string {
  if (rows.length === 0) return 'no tasks'
  return textTable([
    COLUMNS.map(String),
    ...rows.map((row) => COLUMNS.map((column) => printable(String(row[column] ?? '')))),
  ])
}
