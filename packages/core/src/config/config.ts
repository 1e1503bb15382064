import { parseInboundRules, type InboundRules } from '../http/inbound.ts'
import type { Temporality } from '../metrics/push/metric-data.ts'
import type { ConfigOf } from './option.ts'
import type { SpanLimits } from '../sdk/request-span.ts'
import type { OtlpSettings } from '../sdk/otlp/settings.ts'
import type { LogLevel } from '../sdk/diag-logger.ts'
import type { PropagatorName } from '../sdk/propagator.ts'
import type { SamplerName } from '../sdk/tracer-provider.ts'
import { silence } from '../diag.ts'
import { environment, loadSection, type Env } from './load.ts'
import { coreOptions, otelOptions } from './options.ts'
import { appScript } from './pm2.ts'
import { otlpFrom, otlpOf } from './otlp-settings.ts'
import { logsOptions, metricsPushOptions } from './signal-options.ts'
import { withConfigFile } from './with-config-file.ts'
import { sayUnsupported } from './unsupported.ts'

/** What core reads from the environment, once, at boot. */
export interface CoreConfig {
  /** By the file that OTEL_CONFIG_FILE names. */
  readonly isDisabled: boolean
  readonly serviceName: string
  readonly resourceAttributes: Readonly<Record<string, string>>
  readonly mainScript: string | undefined
  readonly exporters: readonly ('otlp' | 'console' | 'none')[]
  /** Whether there is /metrics. */
  readonly metrics: boolean
  /** Undefined: metrics are not pushed. */
  readonly push: MetricsPush | undefined
  /** Undefined: logs go nowhere. */
  readonly logs: LogsExport | undefined
  readonly otlp: OtlpSettings
  readonly queue: {
    readonly maxSpans: number
    readonly maxBytes: number
    readonly batchSpans: number
    readonly delayMs: number
  }
  readonly sampler: SamplerName
  readonly samplerRatio: number
  /** Whether metrics point at traces. */
  readonly hasExemplars: boolean
  readonly propagators: readonly PropagatorName[]
  readonly resourceDetectors: readonly string[]
  readonly instrumentations: { readonly enabled: readonly string[]; readonly disabled: readonly string[] }
  readonly logLevel: LogLevel | undefined
  readonly limits: SpanLimits
  readonly adminHost: string
  readonly adminPort: number
  readonly adminToken: string
  readonly adminAddressFile: string
  readonly allowedHosts: readonly string[]
  readonly traceResponse: boolean
  readonly mostInferredRoutes: number
  readonly flight: boolean
  readonly ignorePaths: readonly string[]
  readonly inbound: InboundRules
  readonly exitHoldMs: number
  readonly doctorDir: string
  readonly drainMs: number
  readonly overdueMs: number
  readonly logTrace: readonly string[]
  readonly sentry: boolean
  readonly metricsShare: 'process' | 'service'
}

export interface MetricsPush {
  /** Undefined: they are only printed. */
  readonly otlp: OtlpSettings | undefined
  readonly isPrinted: boolean
  readonly intervalMs: number
  readonly temporality: Temporality
  readonly isExponential: boolean
}

export interface LogsExport {
  /** Undefined: they are only printed. */
  readonly otlp: OtlpSettings | undefined
  readonly isPrinted: boolean
  readonly queue: { readonly maxRecords: number; readonly batchRecords: number; readonly delayMs: number }
  readonly limits: { readonly attributes: number; readonly valueLength: number }
}

const MOST_QUEUED_BYTES = 32 * 1024 * 1024

export function loadConfig(env: Env = environment()): CoreConfig {
  if (env['OTEL_LOG_LEVEL']?.trim().toLowerCase() === 'none') silence() // before there is something to say
  const { variables, isDisabled } = withConfigFile(env)
  const otel = loadSection(otelOptions, variables)
  const own = loadSection(coreOptions, env)
  sayUnsupported(variables)
  return {
    isDisabled,
    serviceName: otel.serviceName,
    resourceAttributes: otel.resourceAttributes,
    mainScript: appScript(env),
    exporters: otel.tracesExporter,
    metrics: otel.metricsExporter.includes('prometheus'),
    hasExemplars: otel.exemplarFilter === 'trace_based',
    push: pushFrom(otel, variables),
    logs: logsFrom(otel, variables),
    otlp: otlpFrom(otel),
    queue: {
      maxSpans: otel.queueSpans,
      maxBytes: MOST_QUEUED_BYTES,
      batchSpans: Math.min(otel.batchSpans, otel.queueSpans),
      delayMs: otel.delayMs,
    },
    sampler: otel.sampler,
    samplerRatio: otel.samplerRatio,
    propagators: otel.propagators,
    resourceDetectors: otel.resourceDetectors,
    instrumentations: { enabled: otel.enabledInstrumentations, disabled: otel.disabledInstrumentations },
    logLevel: otel.logLevel,
    limits: {
      attributes: otel.spanAttributeCount ?? otel.attributeCount,
      valueLength: otel.spanAttributeLength ?? otel.attributeLength,
      events: otel.eventCount,
      eventAttributes: otel.perEventCount ?? otel.eventAttributeCount,
      links: otel.linkCount,
      linkAttributes: otel.perLinkCount ?? otel.linkAttributeCount,
    },
    adminHost: otel.adminHost,
    adminPort: otel.adminPort,
    adminToken: own.adminToken,
    adminAddressFile: own.adminAddressFile,
    allowedHosts: own.allowedHosts,
    traceResponse: own.traceResponse === 'on',
    mostInferredRoutes: own.mostInferredRoutes,
    flight: own.flight === 'requests',
    ignorePaths: own.ignorePaths,
    inbound: parseInboundRules(own.inbound) ?? [],
    exitHoldMs: own.exitHoldMs,
    doctorDir: own.doctorDir,
    drainMs: own.drainMs,
    overdueMs: own.overdueMs,
    logTrace: own.logTrace,
    sentry: own.sentry === 'on',
    metricsShare: own.metricsShare,
  }
}

function pushFrom(otel: ConfigOf<typeof otelOptions>, variables: Env): MetricsPush | undefined {
  const isSent = otel.metricsExporter.includes('otlp')
  const isPrinted = otel.metricsExporter.includes('console')
  if (!isSent && !isPrinted) return undefined
  const own = loadSection(metricsPushOptions, variables)
  return {
    otlp: isSent ? otlpOf('metrics', own, otel, own.exportTimeout) : undefined,
    isPrinted,
    intervalMs: own.interval,
    temporality: own.temporality,
    isExponential: own.histogram === 'base2_exponential_bucket_histogram',
  }
}

function logsFrom(otel: ConfigOf<typeof otelOptions>, variables: Env): LogsExport | undefined {
  if (!variables['OTEL_LOGS_EXPORTER']) return undefined
  const own = loadSection(logsOptions, variables)
  if (own.exporter.includes('none')) return undefined
  return {
    otlp: own.exporter.includes('otlp') ? otlpOf('logs', own, otel, own.exportTimeout) : undefined,
    isPrinted: own.exporter.includes('console'),
    queue: {
      maxRecords: own.queueRecords,
      batchRecords: Math.min(own.batchRecords, own.queueRecords),
      delayMs: own.delay,
    },
    limits: {
      attributes: own.attributeCount ?? otel.attributeCount,
      valueLength: own.attributeLength ?? otel.attributeLength,
    },
  }
}

/** Undefined where spans do not go to a collector. */
export function otlpSettings({ exporters, otlp }: CoreConfig): OtlpSettings | undefined {
  return exporters.includes('otlp') ? otlp : undefined
}
