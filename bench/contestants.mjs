import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { otherContestants } from './others.mjs'
import { tempDir } from './temp-dir.mjs'

const require = createRequire(import.meta.url)

/** What stands beside each other in one run: the arguments and the environment that start an app under it. */
export function contestants(collectorUrl) {
  const shared = sharedEnv(collectorUrl)
  return {
    bare: { args: [], env: {} },
    core: { args: ['--require', require.resolve('@afterspan/core/register')], env: shared },
    afterspan: {
      args: ['--require', require.resolve('afterspan/register')],
      env: { ...shared, AFTERSPAN_LEDGER_DIR: tempDir() },
    },
    auto: {
      args: ['--require', require.resolve('@opentelemetry/auto-instrumentations-node/register')],
      // Port 0 is taken as 9464 by that exporter; a fixed high port keeps it off ours.
      env: { ...shared, OTEL_EXPORTER_PROMETHEUS_PORT: '19464', OTEL_NODE_RESOURCE_DETECTORS: 'env,host,os,process' },
    },
    ...Object.fromEntries(
      Object.entries(otherContestants(collectorUrl)).map(([name, { args, env }]) => [
        name,
        { args, env: { ...shared, ...env } },
      ]),
    ),
  }
}

/** A queue's own telemetry, and an SDK that sends its spans. */
export function telemetryOfQueue(collectorUrl) {
  return {
    args: ['--require', fileURLToPath(new URL('apps/otel-sdk.cjs', import.meta.url))],
    env: { ...sharedEnv(collectorUrl), OTEL_METRICS_EXPORTER: 'none', BENCH_TELEMETRY: '1' },
  }
}

function sharedEnv(collectorUrl) {
  return {
    OTEL_EXPORTER_OTLP_ENDPOINT: collectorUrl,
    OTEL_EXPORTER_PROMETHEUS_PORT: '0',
    OTEL_METRICS_EXPORTER: 'prometheus',
    OTEL_LOGS_EXPORTER: 'none',
    OTEL_SERVICE_NAME: 'bench',
  }
}
