import { askPatrol } from '@afterspan/async-tracker/internal'
import type { Receipt } from '@afterspan/core'
import { httpAddress, UsageError, type Command } from '../command.ts'
import { drill as run, type DrillResult } from '../drill/drill.ts'
import { ledgerFolder, ownPatrol } from '../ledger-question.ts'

export const drill: Command = {
  name: 'drill',
  summary: 'kills a canary worker and measures how long it takes to be told',
  usage: '[--jaeger URL] [--timeout SECONDS] [--json] [--dir FOLDER]',
  details: [
    'Starts a small service with the preload, lets it answer 200, ends it with SIGKILL in the middle of the work behind that answer, and',
    'measures from its death: to the proof in the ledger, to the collector having the ERROR span, to Jaeger showing it. Where no patrol',
    'runs on the folder, it patrols itself. Exit code 1 where one of them does not come in time.',
    '',
    '  --jaeger URL       where Jaeger answers, e.g. http://localhost:16686; without it the collector is the last step',
    '  --timeout SECONDS  the longest wait for each step; default 15',
    '  --json             the measured milliseconds as JSON',
    '  --dir FOLDER       the ledger folder',
  ].join('\n'),
  options: {
    jaeger: { type: 'string' },
    timeout: { type: 'string' },
    json: { type: 'boolean' },
    dir: { type: 'string' },
  },
  async run({ values, print, complain }) {
    const dir = ledgerFolder(values['dir'])
    const jaeger = typeof values['jaeger'] === 'string' ? httpAddress('--jaeger', values['jaeger']) : undefined
    const timeoutMs = secondsOf(values['timeout']) * 1000
    if (!values['json']) complain('afterspan drill: starting a canary, which is then killed …')
    const isPatrolled = (await askPatrol(dir, '/tasks?limit=1')) !== undefined
    const own = isPatrolled ? undefined : ownPatrol(dir)
    own?.start()
    try {
      const result = await run({
        dir,
        timeoutMs,
        ...(jaeger ? { jaeger } : {}),
        receipt: async (traceId) => (await askPatrol(dir, `/receipt/${traceId}`))?.body as Receipt | undefined,
      })
      print(values['json'] ? JSON.stringify(result) : textOf(result, jaeger))
      return result.collectorMs === undefined || (jaeger && result.jaegerMs === undefined) ? 1 : 0
    } finally {
      await own?.stop()
    }
  },
}

function textOf(
  { traceId, proofMs, evidence, collectorMs, jaegerMs }: DrillResult,
  jaeger: string | undefined,
): string {
  const ms = (value: number | undefined): string => (value === undefined ? 'not in time' : `${value} ms`)
  const lines = [
    `trace               ${traceId}`,
    `death to proof      ${ms(proofMs)}${evidence ? ` (${evidence})` : ''}`,
    `death to collector  ${ms(collectorMs)}`,
  ]
  if (jaeger) lines.push(`death to Jaeger     ${ms(jaegerMs)}`)
  if (proofMs !== undefined && collectorMs === undefined)
    lines.push(
      'The collector did not take the span: is OTEL_EXPORTER_OTLP_ENDPOINT right, also for the patrol that runs?',
    )
  return lines.join('\n')
}

function secondsOf(given: string | boolean | undefined): number {
  if (given === undefined) return 15
  const seconds = Number(given)
  if (!(seconds >= 1 && seconds <= 600))
    throw new UsageError(`--timeout ${JSON.stringify(given)}: allowed is a number of seconds from 1 to 600`)
  return seconds
}
