// The app's log records to a collector, and to stdout. A bundle of its own: loaded at the start, and only where OTEL_LOGS_EXPORTER asks for it.
import type { Attributes } from '@opentelemetry/api'
import type { LogsExport } from '../../config/config.ts'
import type { ModuleHook } from '../../contracts/module-hook.ts'
import type { LastSource } from '../../guard/last-words.ts'
import type { Counter } from '../../metrics/registry.ts'
import { withoutTracing } from '../../sdk/suppress.ts'
import { encodeLog } from './encode-logs.ts'
import type { LogEntry, SendLog } from './log-entry.ts'
import { LogQueue } from './log-queue.ts'
import { setLoggerProvider } from './logger-provider.ts'
import { loggerHooks } from './loggers.ts'

export interface SendLogsDeps {
  readonly logs: LogsExport
  readonly resource: Attributes
  readonly dropped: Pick<Counter, 'add'>
  readonly exported: Pick<Counter, 'add'>
  readonly failures: Pick<Counter, 'add'>
}

export function sendLogs({ logs, resource, ...counters }: SendLogsDeps): {
  readonly hooks: readonly ModuleHook[]
  readonly lastLogs: LastSource
} {
  const queue = logs.otlp && new LogQueue({ otlp: logs.otlp, resource, limits: logs.queue, ...counters })
  const send: SendLog = (make) => {
    if (!logs.isPrinted && queue?.hasRoom() === false) return
    try {
      const entry = make()
      if (logs.isPrinted) print(entry)
      if (!queue || (logs.isPrinted && !queue.hasRoom())) return
      const bytes = encodeLog(entry, logs.limits)
      // What is sent for a request is no work of that request.
      withoutTracing(() => {
        queue.add({ scope: entry.scope, bytes })
      })
    } catch {
      counters.dropped.add(1, 'unencodable') // it may hold anything
    }
  }
  setLoggerProvider(send)
  return { hooks: loggerHooks(send), lastLogs: (_, answerUntil) => queue?.takeLast(answerUntil) }
}

function print(entry: LogEntry): void {
  try {
    process.stdout.write(`${JSON.stringify(entry)}\n`)
  } catch {
    // stdout is closed, or it is nothing for JSON
  }
}
