// JAEGER_BIN=… node test/services/jaeger.mjs [port]: a Jaeger v2 that keeps its traces in memory. `url` takes OTLP over HTTP, `queryUrl` is asked for traces.
// Nobody packages Jaeger, so there is one only where JAEGER_BIN names its program.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ask, byHand, freePort, HOST, startServer } from './server.mjs'

export const missing = () =>
  process.env['JAEGER_BIN'] ? undefined : 'JAEGER_BIN does not name a Jaeger v2, which no registry has'

export async function start({ port = 0 } = {}) {
  const [grpc, query, queryGrpc] = [await freePort(), await freePort(), await freePort()]
  const server = await startServer({
    name: 'jaeger',
    port,
    command: process.env['JAEGER_BIN'],
    args: (p, folder) => ['--config', configured(folder, { http: p, grpc, query, queryGrpc })],
    isReady: async () => /^HTTP\/1\.[01] 200/.test(await ask(query, 'GET /api/services HTTP/1.0\r\n\r\n')),
    url: (p) => `http://${HOST}:${p}`,
  })
  return { ...server, queryUrl: `http://${HOST}:${query}` }
}

/** JSON is YAML. */
function configured(folder, { http, grpc, query, queryGrpc }) {
  const at = (port) => ({ endpoint: `${HOST}:${port}` })
  const file = join(folder, 'config.yaml')
  writeFileSync(
    file,
    JSON.stringify({
      service: {
        extensions: ['jaeger_storage', 'jaeger_query'],
        pipelines: { traces: { receivers: ['otlp'], exporters: ['jaeger_storage_exporter'] } },
        telemetry: { metrics: { level: 'none' }, logs: { level: 'warn' } },
      },
      extensions: {
        jaeger_storage: { backends: { memory: { memory: { max_traces: 10_000 } } } },
        jaeger_query: { storage: { traces: 'memory' }, enable_tracing: false, http: at(query), grpc: at(queryGrpc) },
      },
      receivers: { otlp: { protocols: { http: at(http), grpc: at(grpc) } } },
      exporters: { jaeger_storage_exporter: { trace_storage: 'memory' } },
    }),
  )
  return file
}

await byHand(import.meta.url, { missing, start })
