import type { TextMapPropagator } from '@opentelemetry/api'
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core'
import { say } from '../diag.ts'

/** OTEL_PROPAGATORS: tracecontext and baggage; `none` alone turns propagation off. */
export function createPropagator(names: readonly string[]): TextMapPropagator {
  const propagators: TextMapPropagator[] = []
  for (const name of new Set(names)) {
    if (name === 'tracecontext') propagators.push(new W3CTraceContextPropagator())
    else if (name === 'baggage') propagators.push(new W3CBaggagePropagator())
    else if (name !== 'none')
      say(
        'AFS_CONFIG_INVALID',
        `OTEL_PROPAGATORS names ${JSON.stringify(name)}: allowed are tracecontext, baggage, none. It is left out.`,
      )
  }
  return new CompositePropagator({ propagators })
}
