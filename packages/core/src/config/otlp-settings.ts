import { say } from '../diag.ts'
import type { OtlpSettings } from '../sdk/otlp/settings.ts'
import { readTls } from './certificates.ts'
import type { ConfigOf } from './option.ts'
import type { otelOptions } from './options.ts'

const HTTP_DEFAULT = 'http://localhost:4318'
const GRPC_DEFAULT = 'http://localhost:4317'

/** Where and how traces go. What is said for traces goes before what is said for every signal. */
export function otlpFrom(otel: ConfigOf<typeof otelOptions>): OtlpSettings {
  const tls = readTls({
    ca: otel.otlpTracesCertificate || otel.otlpCertificate,
    cert: otel.otlpTracesClientCertificate || otel.otlpClientCertificate,
    key: otel.otlpTracesClientKey || otel.otlpClientKey,
  })
  const protocol = otel.otlpTracesProtocol ?? otel.otlpProtocol
  return {
    url: protocol === 'grpc' ? grpcUrl(otel) : httpUrl(otel),
    headers: { ...otel.otlpHeaders, ...otel.otlpTracesHeaders },
    timeoutMs: Math.min(otel.otlpTracesTimeout ?? otel.otlpTimeout, otel.exportTimeout),
    compression: otel.otlpTracesCompression ?? otel.otlpCompression,
    ...(protocol === 'http/protobuf' ? {} : { protocol }),
    ...(tls ? { tls } : {}),
  }
}

function httpUrl({ otlpTracesEndpoint, otlpEndpoint }: ConfigOf<typeof otelOptions>): string {
  if (otlpTracesEndpoint && hasScheme('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', otlpTracesEndpoint))
    return otlpTracesEndpoint
  const isUsable = otlpEndpoint !== '' && hasScheme('OTEL_EXPORTER_OTLP_ENDPOINT', otlpEndpoint)
  return `${(isUsable ? otlpEndpoint : HTTP_DEFAULT).replace(/\/+$/, '')}/v1/traces`
}

function hasScheme(env: string, address: string): boolean {
  if (/^https?:\/\//i.test(address)) return true
  const text = `${env}=${JSON.stringify(address)} is for gRPC alone: allowed is an address that starts with http:// or https://. It is left out.`
  say('AFS_CONFIG_INVALID', text, env)
  return false
}

/** Scheme, host and port. Without a scheme OTEL_EXPORTER_OTLP_INSECURE decides. */
function grpcUrl(otel: ConfigOf<typeof otelOptions>): string {
  const address = otel.otlpTracesEndpoint || otel.otlpEndpoint || GRPC_DEFAULT
  const isInsecure = otel.otlpTracesInsecure ?? otel.otlpInsecure
  return new URL(/^https?:\/\//i.test(address) ? address : `${isInsecure ? 'http' : 'https'}://${address}`).origin
}
