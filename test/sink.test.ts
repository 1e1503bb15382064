// `afterspan sink`, a collector for the desk, as one sees it: what an app sends stands in its terminal.
import { get, nodesUnderTest, repositoryRoot, runApp, startPreloaded } from '@afterspan/testing'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { appFile, listening, traceIdOf } from './app.ts'

const BIN = join(repositoryRoot(), 'packages/afterspan/bin/afterspan.js')

test.each(['http/protobuf', 'http/json'])(
  'traces are drawn, log records are lines, metrics are named: %s',
  async (OTEL_EXPORTER_OTLP_PROTOCOL) => {
    const sink = runApp({ args: [BIN, 'sink', '--port', '0'], node: nodesUnderTest().at(-1)!.path })
    const [, url = ''] = await sink.waitForLine(/OTEL_EXPORTER_OTLP_ENDPOINT=(\S+)$/)
    const app = startPreloaded({
      app: appFile('logs.cjs'),
      sink: { url },
      env: {
        OTEL_EXPORTER_OTLP_PROTOCOL,
        OTEL_LOGS_EXPORTER: 'otlp',
        OTEL_METRICS_EXPORTER: 'otlp',
        OTEL_SERVICE_NAME: 'desk',
        AFTERSPAN_EXIT_HOLD_MS: '5000',
      },
    })
    const traceId = traceIdOf(await get(`${await listening(app)}/pino`))
    app.signal('SIGTERM')
    await app.exit
    await sink.waitForLine(new RegExp(`^log  \\d{4}-\\S+Z  \\w+  desk  .*  trace ${traceId}$`))
    await sink.waitForLine(/^metrics  desk  .*\bhttp\.server\.request\.duration\b/)
    await sink.waitForLine(new RegExp(`^trace ${traceId}$`))
    expect(app.stderr).toBe('')
    await sink.stop()
    expect(sink.stderr).toBe('')
  },
)
