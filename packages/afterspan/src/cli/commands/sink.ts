import { drawTrace } from '../../sink/trace-text.ts'
import { startOtlpSink } from '../../sink/otlp-sink.ts'
import { UsageError, type Command } from '../command.ts'

/** A trace is drawn once it has been quiet for so long. */
const QUIET_MS = 1_500
const MOST_WAITING = 1_000

export const sink: Command = {
  name: 'sink',
  summary: 'a collector for the desk: takes spans and draws each trace as text',
  usage: '[--port 4318] [--host 127.0.0.1]',
  details: [
    'Listens for OTLP/HTTP where a collector would, and draws each trace a moment after its newest span has come.',
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
    })
    print(`afterspan: takes spans at ${server.url}; OTEL_EXPORTER_OTLP_ENDPOINT=${server.url}`)
    await new Promise<void>((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, resolve)
    })
    for (const timer of waiting.values()) clearTimeout(timer)
    await server.close()
    return 0
  },
}
