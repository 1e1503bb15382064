import {
  context,
  logs,
  trace,
  isSpanContextValid,
  type Context,
  type Logger,
  type LoggerProvider,
  type LogRecord,
} from '@opentelemetry/api'
import { toEpochMs } from '../../sdk/time.ts'
import { describeException } from '../../sdk/request-span.ts'
import { scopeOf } from '../../sdk/scope.ts'
import type { SpanScope } from '../../sdk/span-data.ts'
import type { LogIds } from '../log-ids.ts'
import type { SendLog } from './log-entry.ts'

/** Where the package @opentelemetry/api-logs looks, which was apart from the API before 1.10. */
const API_LOGS = Symbol.for('io.opentelemetry.js.api.logs')
const API_LOGS_VERSION = 1

/** What the app says by the API of logs is sent, unless another SDK was there first. */
export function setLoggerProvider(send: SendLog): void {
  const provider: LoggerProvider = {
    getLogger: (name, version, options) => createLogger(scopeOf(name, version, options?.schemaUrl), send),
  }
  const globals = globalThis as { [API_LOGS]?: (version: number) => LoggerProvider }
  const silent: LoggerProvider = { getLogger: () => createLogger({ name: '' }, () => {}) }
  globals[API_LOGS] ??= (version) => (version === API_LOGS_VERSION ? provider : silent)
  logs.setGlobalLoggerProvider(provider)
}

function createLogger(scope: SpanScope, send: SendLog): Logger {
  return {
    enabled: () => true,
    emit(record: LogRecord) {
      send(() => {
        const { exception, attributes = {}, timestamp, observedTimestamp } = record
        return {
          scope,
          timeMs: timestamp === undefined ? undefined : toEpochMs(timestamp),
          observedMs: observedTimestamp === undefined ? Date.now() : toEpochMs(observedTimestamp),
          severity: record.severityNumber ?? 0,
          severityText: record.severityText,
          body: record.body,
          attributes: exception === undefined ? attributes : { ...exceptionOf(exception), ...attributes },
          eventName: record.eventName,
          ids: idsOf(record.context ?? context.active()),
        }
      })
    },
  }
}

function exceptionOf(exception: unknown): Record<string, string> {
  const { type, message, stack } = describeException(exception)
  return {
    'exception.type': type,
    'exception.message': message,
    ...(stack === undefined ? {} : { 'exception.stacktrace': stack }),
  }
}

function idsOf(from: Context): LogIds | undefined {
  const span = trace.getSpanContext(from)
  if (!span || !isSpanContextValid(span)) return undefined
  return { trace_id: span.traceId, span_id: span.spanId, trace_flags: `0${(span.traceFlags & 1).toString(16)}` }
}
