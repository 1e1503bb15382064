// A gRPC server by the official library: what the SDK speaks is judged by somebody else. It hands each export on to an OTLP sink.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { OtlpSink } from 'afterspan/internal'

type Callback = (error: GrpcError | null, reply?: Buffer) => void
interface GrpcError {
  readonly code: number
  readonly details?: string
  readonly metadata?: object
}
interface Call {
  readonly request: Buffer
  readonly metadata: { getMap(): Record<string, string | Buffer> }
}
export interface GrpcCall {
  /** 1 for the first. */
  readonly number: number
  readonly metadata: Readonly<Record<string, string | Buffer>>
}
export interface GrpcCollector {
  /** 'http://127.0.0.1:4317'. */
  readonly url: string
  readonly port: number
  readonly calls: readonly GrpcCall[]
  /** What came for other signals than traces. */
  readonly others: readonly { readonly path: string; readonly body: Buffer }[]
  close(): void
}
/** Stands in for a collector that is unwell; undefined: as if it were not there. */
export type GrpcAnswer = (
  call: GrpcCall,
) => { readonly code: number; readonly retrySeconds?: number } | 'never' | undefined

const grpc = loadGrpc()
const PATH = '/opentelemetry.proto.collector.trace.v1.TraceService/Export'
const OTHERS = [
  '/opentelemetry.proto.collector.logs.v1.LogsService/Export',
  '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export',
]

export async function startGrpcCollector(
  sink: OtlpSink,
  {
    answer,
    certificate,
    port = 0,
    mostBytes = 4 * 1024 * 1024,
  }: {
    readonly answer?: GrpcAnswer
    readonly certificate?: string
    readonly port?: number
    readonly mostBytes?: number
  } = {},
): Promise<GrpcCollector> {
  const calls: GrpcCall[] = []
  const server = new grpc.Server({ 'grpc.max_receive_message_length': mostBytes })
  const same = (bytes: Buffer): Buffer => bytes
  const others: { path: string; body: Buffer }[] = []
  const method = {
    path: PATH,
    requestStream: false,
    responseStream: false,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  }
  server.addService(
    { export: method },
    {
      export(call: Call, reply: Callback) {
        const got = { number: calls.length + 1, metadata: call.metadata.getMap() }
        calls.push(got)
        const trouble = answer?.(got)
        if (trouble === 'never') return
        if (trouble) reply({ code: trouble.code, metadata: retryInfo(trouble.retrySeconds) })
        else
          void fetch(`${sink.url}/v1/traces`, {
            method: 'POST',
            headers: { 'content-type': 'application/x-protobuf' },
            body: call.request,
          }).then(async (taken) => {
            reply(null, Buffer.from(await taken.arrayBuffer()))
          })
      },
    },
  )
  for (const path of OTHERS)
    server.addService(
      { export: { ...method, path } },
      {
        export({ request }: Call, reply: Callback) {
          others.push({ path, body: request })
          reply(null, Buffer.alloc(0))
        },
      },
    )
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(
      `127.0.0.1:${port}`,
      certificate === undefined
        ? grpc.ServerCredentials.createInsecure()
        : grpc.ServerCredentials.createSsl(null, [pem(certificate)]),
      (error: Error | null, got: number) => {
        if (error) reject(error)
        else resolve(got)
      },
    )
  })
  return {
    url: `http://127.0.0.1:${bound}`,
    port: bound,
    calls,
    others,
    close() {
      server.forceShutdown()
    },
  }
}

/** `path` without its endings. */
function pem(path: string): object {
  return { cert_chain: readFileSync(`${path}.cert.pem`), private_key: readFileSync(`${path}.key.pem`) }
}

/** google.rpc.Status with one detail: google.rpc.RetryInfo. */
function retryInfo(seconds: number | undefined): object {
  const metadata = new grpc.Metadata()
  if (seconds === undefined) return metadata
  const field = (tag: number, bytes: Uint8Array): Buffer => Buffer.concat([Buffer.from([tag, bytes.length]), bytes])
  const delay = field(0x0a, Buffer.from([0x08, seconds]))
  const any = Buffer.concat([field(0x0a, Buffer.from('type.googleapis.com/google.rpc.RetryInfo')), field(0x12, delay)])
  metadata.set('grpc-status-details-bin', field(0x1a, any))
  return metadata
}

function loadGrpc(): any {
  let from = import.meta.url
  for (const name of [
    '@opentelemetry/sdk-node',
    '@opentelemetry/exporter-trace-otlp-grpc',
    '@opentelemetry/otlp-grpc-exporter-base',
  ])
    from = createRequire(from).resolve(name)
  return createRequire(from)('@grpc/grpc-js')
}
