import { look, ownVantage, ownWorkerRef, readHealthLogs } from '@afterspan/async-tracker/internal'
import { loadConfig, printable } from '@afterspan/core/internal'
import { httpAddress, UsageError, type Command, type CommandInput } from '../command.ts'
import { explain, explainedText } from '../health-history.ts'
import { knownFolder } from '../ledger-question.ts'

const PATIENCE_MS = 5_000
const MOST_PROCESSES = 20

export const health: Command = {
  name: 'health',
  summary: 'what health says now; `health explain`: what changed, why, and when it was well again',
  usage: '[--url http://127.0.0.1:9464] [--json] | explain [--service NAME] [--json] [--dir FOLDER]',
  details: [
    'Asks the admin listener of a running process for its checks. Exit code 1: it says 503, or does not answer.',
    '',
    '  --url URL       the admin listener (default: by OTEL_EXPORTER_PROMETHEUS_HOST and _PORT)',
    '  --json          the body of /health',
    '',
    'afterspan health explain reads what processes wrote when the status of a check changed, also such as were',
    'killed: what turned, when, what showed it, when it was well again, and what is so now.',
    '',
    '  --service NAME  of this service alone',
    '  --json          an array, one element for each process, the one that changed last first',
    '  --dir FOLDER    the ledger folder',
  ].join('\n'),
  takesWords: true,
  options: {
    url: { type: 'string' },
    service: { type: 'string' },
    json: { type: 'boolean' },
    dir: { type: 'string' },
  },
  async run(input) {
    const [what, ...more] = input.positionals
    if (more.length > 0 || (what !== undefined && what !== 'explain'))
      throw new UsageError(`${JSON.stringify(more[0] ?? what)} is not understood`)
    return what === 'explain' ? explainHistory(input) : showNow(input)
  },
}

function explainHistory({ values, print }: CommandInput): number {
  const vantage = ownVantage(ownWorkerRef('afterspan').bootId)
  const found = readHealthLogs(knownFolder(values['dir']))
    .filter(({ worker }) => values['service'] === undefined || worker.service === values['service'])
    .slice(0, MOST_PROCESSES)
    .map((history) => explain(history, look(history.worker, vantage)))
  print(values['json'] ? JSON.stringify(found, null, 2) : explainedText(found))
  return 0
}

interface Body {
  readonly status?: string
  readonly serviceId?: string
  readonly code?: string
  readonly checks?: Readonly<
    Record<string, readonly { status?: string; code?: string; output?: string; since?: string; criticality?: string }[]>
  >
}

async function showNow({ values, print, complain }: CommandInput): Promise<number> {
  const url = typeof values['url'] === 'string' ? httpAddress('--url', values['url']) : ownAddress()
  let status: number
  let body: Body
  try {
    const signal = AbortSignal.timeout(PATIENCE_MS)
    const answer = await fetch(new URL('/health', url), { headers: { accept: 'application/health+json' }, signal })
    status = answer.status
    body = (await answer.json()) as Body
  } catch (error) {
    const cause = (error as { cause?: { code?: string } }).cause?.code ?? (error as Error).message
    complain(`afterspan health: ${url} does not answer (${cause}). What was so before: afterspan health explain`)
    return 1
  }
  print(values['json'] ? JSON.stringify(body, null, 2) : nowText(body))
  return status === 200 ? 0 : 1
}

function ownAddress(): string {
  const { adminHost, adminPort } = loadConfig()
  const host = adminHost === '0.0.0.0' || adminHost === '::' ? '127.0.0.1' : adminHost
  return `http://${host.includes(':') ? `[${host}]` : host}:${adminPort}`
}

function nowText({ status, serviceId, code, checks = {} }: Body): string {
  // A check has several measurements; the first says how it is.
  const rows = Object.entries(checks).flatMap(([key, [first]]) =>
    first?.criticality === undefined ? [] : [{ name: key.slice(0, key.lastIndexOf(':')), ...first }],
  )
  const width = Math.max(4, ...rows.map(({ name }) => name.length))
  return [
    `${printable(serviceId ?? 'service')}: ${status ?? 'unknown'}${code === undefined ? '' : ` (${code})`}`,
    ...rows.map(({ name, status: word = 'unknown', code: why, output, since, criticality }) => {
      const bad = word === 'pass' ? '' : `  ${why ?? ''}${output === undefined ? '' : `: ${output}`}`
      return printable(
        `  ${name.padEnd(width)}  ${word.padEnd(4)}  ${criticality ?? ''}  since ${since ?? 'now'}${bad}`,
      )
    }),
  ].join('\n')
}
