import type { TextMapPropagator } from '@opentelemetry/api'
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core'
import { createB3Propagator } from './b3-propagator.ts'

export type PropagatorName = 'tracecontext' | 'baggage' | 'b3' | 'b3multi' | 'none'

const MAKE: Readonly<Record<PropagatorName, () => TextMapPropagator | undefined>> = {
  tracecontext: () => new W3CTraceContextPropagator(),
  baggage: () => new W3CBaggagePropagator(),
  b3: () => createB3Propagator('single'),
  b3multi: () => createB3Propagator('multi'),
  none: () => undefined,
}

/** OTEL_PROPAGATORS. `none` turns propagation off. Where a request carries several, the last one that can be read counts, as in the official SDK. */
export function createPropagator(names: readonly PropagatorName[]): TextMapPropagator {
  return new CompositePropagator({
    propagators: names.map((name) => MAKE[name]()).filter((made) => made !== undefined),
  })
}
