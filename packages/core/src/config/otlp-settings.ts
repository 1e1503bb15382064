import { say } from '../diag.ts'
import type { OtlpSettings } from '../sdk/otlp/settings.ts'
import { readTls, type NamedFile } from './certificates.ts'
import type { ConfigOf } from './option.ts'
import type { otelOptions } from './options.ts'
import { TIMES, type SignalConfig } from './signal-options.ts'

const HTTP_DEFAULT = 'http://localhost:4318'
const GRPC_DEFAULT = 'http://localhost:4317'

type Otel = ConfigOf<typeof otelOptions>
type Signal = 'logs' | 'metrics' | 'traces'

/** Where and how traces go. */
export function otlpFrom(otel: Otel): OtlpSettings {
  const own: SignalConfig = {
    endpoint: otel.otlpTracesEndpoint,
    headers: otel.otlpTracesHeaders,
    timeout: otel.otlpTracesTimeout,
    compression: otel.otlpTracesCompression,
    protocol: otel.otlpTracesProtocol,
    certificate: otel.otlpTracesCertificate,
    clientCertificate: otel.otlpTracesClientCertificate,
    clientKey: otel.otlpTracesClientKey,
    insecure: otel.otlpTracesInsecure,
  }
  return otlpOf('traces', own, otel, otel.exportTimeout)
}

/** Where and how a signal goes. What is said for it goes before what is said for every signal. */
export function otlpOf(signal: Signal, own: SignalConfig, otel: Otel, mostMs: number): OtlpSettings {
  const tls = readTls({
    ca: fileOf(signal, 'CERTIFICATE', own.certificate, otel.otlpCertificate),
    cert: fileOf(signal, 'CLIENT_CERTIFICATE', own.clientCertificate, otel.otlpClientCertificate),
    key: fileOf(signal, 'CLIENT_KEY', own.clientKey, otel.otlpClientKey),
  })
  const protocol = own.protocol ?? otel.otlpProtocol
  return {
    url: protocol === 'grpc' ? grpcUrl(own, otel) : httpUrl(signal, own, otel),
    headers: { ...otel.otlpHeaders, ...own.headers },
    timeoutMs: Math.min(...[own.timeout ?? otel.otlpTimeout, mostMs].map((ms) => ms || TIMES.max)),
    compression: own.compression ?? otel.otlpCompression,
    ...(signal === 'traces' ? {} : { signal }),
    ...(protocol === 'http/protobuf' ? {} : { protocol }),
    ...(tls ? { tls } : {}),
  }
}

function fileOf(signal: Signal, rest: string, own: string, all: string): NamedFile {
  return own === ''
    ? { env: `OTEL_EXPORTER_OTLP_${rest}`, file: all }
    : { env: `OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_${rest}`, file: own }
}

function httpUrl(signal: Signal, { endpoint }: SignalConfig, { otlpEndpoint }: Otel): string {
  if (endpoint && hasScheme(`OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_ENDPOINT`, endpoint)) return endpoint
  const isUsable = otlpEndpoint !== '' && hasScheme('OTEL_EXPORTER_OTLP_ENDPOINT', otlpEndpoint)
  const [whole = ''] = (isUsable ? otlpEndpoint : HTTP_DEFAULT).split('#')
  const [address = '', query] = whole.split(/\?(.*)/s)
  return `${address.replace(/\/+$/, '')}/v1/${signal}${query ? `?${query}` : ''}`
}

function hasScheme(env: string, address: string): boolean {
  if (/^https?:\/\//i.test(address)) return true
  const text = `${env}=${JSON.stringify(address)} is for gRPC alone: allowed is an address that starts with http:// or https://. It is left out.`
  say('AFS_CONFIG_INVALID', text, env)
  return false
}

/** Scheme, host and port. Without a scheme OTEL_EXPORTER_OTLP_INSECURE decides. */
function grpcUrl({ endpoint, insecure }: SignalConfig, otel: Otel): string {
  const address = endpoint || otel.otlpEndpoint || GRPC_DEFAULT
  const isInsecure = insecure ?? otel.otlpInsecure
  return new URL(/^https?:\/\//i.test(address) ? address : `${isInsecure ? 'http' : 'https'}://${address}`).origin
}
