import type { SpanLimits } from '../sdk/request-span.ts'
import type { OtlpSettings } from '../sdk/otlp/settings.ts'
import type { SamplerName } from '../sdk/tracer-provider.ts'
import { loadSection, type Env } from './load.ts'
import { coreOptions, otelOptions } from './options.ts'

/** What core reads from the environment, once, at boot. */
export interface CoreConfig {
  readonly serviceName: string
  readonly resourceAttributes: Readonly<Record<string, string>>
  readonly mainScript: string | undefined
  readonly exporter: 'otlp' | 'console' | 'none'
  readonly otlp: OtlpSettings
  readonly queue: {
    readonly maxSpans: number
    readonly maxBytes: number
    readonly batchSpans: number
    readonly delayMs: number
  }
  readonly sampler: SamplerName
  readonly samplerRatio: number
  readonly propagators: readonly string[]
  readonly limits: SpanLimits
  readonly adminHost: string
  readonly adminPort: number
  readonly adminToken: string
  readonly adminAddressFile: string
  readonly allowedHosts: readonly string[]
  readonly traceResponse: boolean
  readonly flight: boolean
  readonly ignorePaths: readonly string[]
  readonly exitHoldMs: number
}

const MOST_QUEUED_BYTES = 32 * 1024 * 1024

export function loadConfig(env: Env = process.env): CoreConfig {
  const otel = loadSection(otelOptions, env)
  const own = loadSection(coreOptions, env)
  return {
    serviceName: otel.serviceName,
    resourceAttributes: otel.resourceAttributes,
    mainScript: process.argv[1],
    exporter: otel.tracesExporter,
    otlp: {
      url: otel.otlpTracesEndpoint || `${otel.otlpEndpoint.replace(/\/+$/, '')}/v1/traces`,
      headers: { ...otel.otlpHeaders, ...otel.otlpTracesHeaders },
      timeoutMs: otel.otlpTracesTimeout || otel.otlpTimeout,
      compression: otel.otlpCompression,
    },
    queue: {
      maxSpans: otel.queueSpans,
      maxBytes: MOST_QUEUED_BYTES,
      batchSpans: Math.min(otel.batchSpans, otel.queueSpans),
      delayMs: otel.delayMs,
    },
    sampler: otel.sampler,
    samplerRatio: otel.samplerRatio,
    propagators: otel.propagators,
    limits: {
      attributes: otel.attributeCount,
      valueLength: otel.spanAttributeLength || otel.attributeLength,
      events: otel.eventCount,
      links: otel.linkCount,
    },
    adminHost: otel.adminHost,
    adminPort: otel.adminPort,
    adminToken: own.adminToken,
    adminAddressFile: own.adminAddressFile,
    allowedHosts: own.allowedHosts,
    traceResponse: own.traceResponse === 'on',
    flight: own.flight === 'requests',
    ignorePaths: own.ignorePaths,
    exitHoldMs: own.exitHoldMs,
  }
}

/** Undefined where spans do not go to a collector. */
export function otlpSettings({ exporter, otlp }: CoreConfig): OtlpSettings | undefined {
  return exporter === 'otlp' ? otlp : undefined
}
