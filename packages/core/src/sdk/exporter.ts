import type { EncodedSpan, ResourceAttributes } from '../contracts/task.ts'
import type { CoreConfig } from '../config/config.ts'
import type { MetricRegistry } from '../metrics/registry.ts'
import { droppedSpans } from './otlp/dropped-spans.ts'
import { encodeSpanField, spanField } from './otlp/encode.ts'
import { SpanQueue } from './otlp/queue.ts'
import { OTLP_KIND, type SpanData, type SpanScope } from './span-data.ts'
import { isSettling } from '../tasks/settling.ts'

/** Where finished spans go: by OTEL_TRACES_EXPORTER to a collector, to stdout, or nowhere. */
export interface Exporter {
  readonly queue: SpanQueue | undefined
  /** True: it waits to be sent. */
  deliver(scope: SpanScope, span: SpanData): boolean
  deliverEncoded(span: EncodedSpan): void
  /** Spans that there was no room for before they came here. */
  lose(spans: number, reason: string): void
}

export function createExporter(
  { exporters, otlp, queue: limits }: CoreConfig,
  resource: ResourceAttributes,
  metrics: MetricRegistry,
): Exporter {
  const isPrinted = exporters.includes('console')
  if (exporters.includes('otlp')) {
    const queue = new SpanQueue({ settings: otlp, resource, limits, metrics })
    const dropped = droppedSpans(metrics)
    return {
      queue,
      deliver(scope, span) {
        if (isPrinted) print(scope, span)
        try {
          const isQueued = queue.add(scope, encodeSpanField(span), span.status?.code === 2)
          // What a worker has done is on disk when its attempt is over, as a request is when it was answered; at the latest before its
          // broker can answer that it knows.
          if (span.kind === OTLP_KIND.consumer) {
            if (isSettling()) queue.writeAfterTurn()
            else queue.write()
          }
          return isQueued
        } catch {
          dropped.add(1, 'unencodable') // an app's span may hold anything, and its end() must not throw
          return false
        }
      },
      deliverEncoded({ scope, bytes }) {
        queue.add({ name: scope }, spanField(Buffer.from(bytes, 'base64')), true)
      },
      lose(spans, reason) {
        dropped.add(spans, reason)
      },
    }
  }
  return {
    queue: undefined,
    deliver: isPrinted ? print : () => false,
    deliverEncoded() {},
    lose() {},
  }
}

function print(scope: SpanScope, span: SpanData): boolean {
  try {
    process.stdout.write(`${JSON.stringify({ scope: scope.name, ...span })}\n`)
  } catch {
    // stdout is closed
  }
  return false
}
