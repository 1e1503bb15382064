import { join } from 'node:path'
import type { CoreConfig } from '../../config/config.ts'
import { requireKept } from '../../code-cache.ts'
import type { ResourceAttributes } from '../../contracts/task.ts'
import { say } from '../../diag.ts'
import type { LastSource } from '../../guard/last-words.ts'
import type { ModuleHooks } from '../../instrument/hooks.ts'
import type { MetricRegistry } from '../../metrics/registry.ts'
import { exportFailures } from '../../sdk/otlp/failures.ts'
import type { sendLogs } from './send-logs.ts'

/** Sends the app's log records, where OTEL_LOGS_EXPORTER asks for it: those of the API, and the lines of pino, winston and bunyan. What is returned has the last of them. */
export function exportLogs(deps: {
  readonly bundleDir: string
  readonly config: Pick<CoreConfig, 'logs'>
  readonly resource: ResourceAttributes
  readonly metrics: MetricRegistry
  readonly hooks: Pick<ModuleHooks, 'add'>
}): LastSource | undefined {
  const { bundleDir, config, resource, metrics, hooks } = deps
  if (!config.logs) return undefined
  try {
    const bundle = requireKept(join(bundleDir, 'logs-export.js')) as { sendLogs: typeof sendLogs }
    const sending = bundle.sendLogs({
      logs: config.logs,
      resource,
      dropped: metrics.counter('afterspan_log_records_dropped', 'Log records that were not delivered, by reason.', [
        'reason',
      ]),
      exported: metrics.counter('afterspan_log_records_exported', 'Log records that the collector took.'),
      failures: exportFailures(metrics),
    })
    for (const hook of sending.hooks) hooks.add(hook)
    return sending.lastLogs
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    say('AFS_BOOT_FAILED', `logs are not sent: ${why}. The app runs without that.`, 'logs')
    return undefined
  }
}
