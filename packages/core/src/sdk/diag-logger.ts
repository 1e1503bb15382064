import { diag, DiagLogLevel, type DiagLogFunction } from '@opentelemetry/api'
import { writeSync } from 'node:fs'
import { inspect } from 'node:util'
import { printable } from '../diag.ts'

export type LogLevel = 'none' | 'error' | 'warn' | 'info' | 'debug' | 'verbose' | 'all'

/** OTEL_LOG_LEVEL: what OpenTelemetry's own parts say, on stderr. */
export function setLogLevel(level: LogLevel | undefined): void {
  if (level === undefined || level === 'none') return
  const line =
    (name: string): DiagLogFunction =>
    (message, ...more) => {
      const text = [message, ...more].map((part) => (typeof part === 'string' ? part : inspect(part))).join(' ')
      try {
        writeSync(2, `[opentelemetry] ${name} ${printable(text)}\n`)
      } catch {
        // stderr is closed or full
      }
    }
  diag.setLogger(
    { error: line('error'), warn: line('warn'), info: line('info'), debug: line('debug'), verbose: line('verbose') },
    { logLevel: DiagLogLevel[level.toUpperCase() as 'INFO'], suppressOverrideMessage: true },
  )
}
