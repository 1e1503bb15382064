// CLIENT spans of @grpc/grpc-js. Its calls wait for a connection that another request may have asked for, so the context is taken where
// the app calls, and travels in metadata of ours: the app's own is copied.
import { context, propagation, SpanKind, SpanStatusCode, trace, type Span, type Tracer } from '@opentelemetry/api'
import { isTracingSuppressed } from '@opentelemetry/core'
import type { ModuleHook } from '../contracts/module-hook.ts'
import { describeException } from '../sdk/request-span.ts'
import { grpcCode } from './grpc-codes.ts'
import { replaceMethod } from '../instrument/replace-method.ts'

interface Metadata {
  clone(): Metadata
  set(key: string, value: string): void
}
interface Client {
  getChannel(): { getTarget(): string }
}
interface Call {
  once(event: 'status', listener: (status: { readonly code: number; readonly details?: string }) => void): void
}
/** How many arguments come before the optional ones. */
const MAKE = { makeUnaryRequest: 4, makeServerStreamRequest: 4, makeClientStreamRequest: 3, makeBidiStreamRequest: 3 }
export function grpcHook(tracer: () => Tracer): ModuleHook {
  let Metadata: (new () => Metadata) | undefined
  return {
    name: 'grpc',
    module: '@grpc/grpc-js',
    // The second loads the first; and makers of clients take the methods of its class as they are loaded.
    files: ['build/src/metadata.js', 'build/src/client.js'],
    versions: '>=1.2.0 <2',
    patch(exports) {
      Metadata = exports.Metadata ?? Metadata
      if (exports.Client && Metadata) patchClient(tracer, exports.Client.prototype as object, Metadata)
    },
  }
}

function patchClient(tracer: () => Tracer, prototype: object, Metadata: new () => Metadata): void {
  for (const [method, fixed] of Object.entries(MAKE))
    replaceMethod(
      prototype,
      method,
      (original) =>
        function (this: Client, ...args) {
          const span = start(tracer, this, args[0])
          if (!span) return original.apply(this, args)
          if (!(args[fixed] instanceof Metadata)) args.splice(fixed, 0, new Metadata())
          args[fixed] = carrying(args[fixed] as Metadata, span)
          const last = args.length - 1
          if (last > fixed && typeof args[last] === 'function')
            args[last] = context.bind(context.active(), args[last] as () => void)
          return followed(span, () => original.apply(this, args) as Call)
        },
    )
}

function start(tracer: () => Tracer, client: Client, path: unknown): Span | undefined {
  // Whoever asks for health is no caller of the app's.
  if (typeof path !== 'string' || path.startsWith('/grpc.health.v1.Health/')) return undefined
  if (isTracingSuppressed(context.active())) return undefined
  const method = path.replace(/^\//, '')
  return tracer().startSpan(method, {
    kind: SpanKind.CLIENT,
    attributes: { 'rpc.system.name': 'grpc', 'rpc.method': method, ...addressOf(client) },
  })
}

/** Of the target: 'dns:stock.example:50051'. */
function addressOf(client: Client): Record<string, number | string> {
  try {
    const found = /^(?:\w+:(?:\/\/[^/]*\/)?)?(.+?)(?::(\d{1,5}))?$/.exec(client.getChannel().getTarget())
    if (!found) return {}
    return { 'server.address': found[1]!, ...(found[2] ? { 'server.port': Number(found[2]) } : {}) }
  } catch {
    return {}
  }
}

function carrying(metadata: Metadata, span: Span): Metadata {
  const own = metadata.clone()
  propagation.inject(trace.setSpan(context.active(), span), own, {
    set(carrier, key, value) {
      carrier.set(key.toLowerCase(), value)
    },
  })
  return own
}

function followed(span: Span, make: () => Call): Call {
  let call: Call
  try {
    call = make()
  } catch (error) {
    const { type, message } = describeException(error)
    span.setAttribute('error.type', type)
    span.setStatus({ code: SpanStatusCode.ERROR, message })
    span.end()
    throw error
  }
  call.once('status', ({ code, details }) => {
    const name = grpcCode(code)
    span.setAttribute('rpc.response.status_code', name)
    if (code !== 0) {
      span.setAttribute('error.type', name)
      span.setStatus({ code: SpanStatusCode.ERROR, ...(details ? { message: details } : {}) })
    }
    span.end()
  })
  return call
}
