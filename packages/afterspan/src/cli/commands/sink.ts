import { printable } from '@afterspan/core/internal'
import { drawTrace } from '../../sink/trace-text.ts'
import { startOtlpSink } from '../../sink/otlp-sink.ts'
import type { ReceivedLog, ReceivedMetrics } from '../../sink/received-signals.ts'
import { UsageError, type Command } from '../command.ts'

/** A trace is drawn once it has been quiet for so long. */
const QUIET_MS = 1_500
const MOST_WAITING = 1_000

export const sink: Command = {
  name: 'sink',
  summary: 'a collector for the desk: draws each trace as text, prints logs, names metrics',
  usage: '[--port 4318] [--host 127.0.0.1]',
  details: [
    'Listens for OTLP/HTTP where a collector would, and draws each trace a moment after its newest span has come.',
    'Log records are lines as they come, with their trace id; of metrics it says the names that are new.',
    'GET / lists the newest traces, GET /traces/<trace id> draws one.',
  ].join('\n'),
  options: { port: { type: 'string' }, host: { type: 'string' } },
  async run({ values, print }) {
    const { port = '4318', host = '127.0.0.1' } = values
    if (!/^\d{1,5}$/.test(String(port)) || Number(port) > 65_535)
      throw new UsageError(`--port ${String(port)}: allowed is a number from 0 to 65535`)
    const waiting = new Map<string, NodeJS.Timeout>()
    const server = await startOtlpSink({
      port: Number(port),
      host: String(host),
      onSpan: ({ traceId }) => {
        clearTimeout(waiting.get(traceId))
        if (waiting.size >= MOST_WAITING && !waiting.has(traceId)) return
        const draw = setTimeout(() => {
          waiting.delete(traceId)
          print(`\ntrace ${traceId}\n${drawTrace(server.trace(traceId), { color: process.stdout.isTTY })}`)
        }, QUIET_MS)
        waiting.set(traceId, draw)
      },
      onLog: (log) => {
        print(logLine(log))
      },
      onMetrics: tellNewNames(print),
    })
    print(`afterspan: takes spans, logs and metrics at ${server.url}; OTEL_EXPORTER_OTLP_ENDPOINT=${server.url}`)
    await new Promise<void>((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, resolve)
      process.stdout.once('error', () => resolve()) // nobody reads any more
    })
    for (const timer of waiting.values()) clearTimeout(timer)
    await server.close()
    return 0
  },
}

function logLine({ atMs, service, severity, text, traceId }: ReceivedLog): string {
  const lines = text.split('\n').map(printable).join('\n  ')
  const parts = ['log', new Date(atMs).toISOString(), printable(severity), printable(service), lines]
  return [...parts, ...(traceId === '' ? [] : [`trace ${traceId}`])].filter((part) => part !== '').join('  ')
}

/** Of each service the names that were not there before: a push comes every minute, and says the same. */
function tellNewNames(print: (line: string) => void): (metrics: ReceivedMetrics) => void {
  const known = new Map<string, Set<string>>()
  return ({ service, names }) => {
    const ofService = known.get(service) ?? new Set()
    known.set(service, ofService)
    const fresh = [...new Set(names)].filter((name) => !ofService.has(name)).sort()
    for (const name of fresh) ofService.add(name)
    if (fresh.length > 0)
      print(
        ['metrics', service, fresh.join(' ')]
          .filter((part) => part !== '')
          .map(printable)
          .join('  '),
      )
  }
}
