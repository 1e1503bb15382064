import type { TextMapPropagator } from '@opentelemetry/api'
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core'
import { join } from 'node:path'
import { withinRequest } from '../http/extracted-again.ts'
import { createB3Propagator } from './b3-propagator.ts'
import { withLegalBaggage } from './legal-baggage.ts'

export type PropagatorName = 'tracecontext' | 'baggage' | 'b3' | 'b3multi' | 'jaeger' | 'xray' | 'none'

const MAKE: Readonly<Record<PropagatorName, () => TextMapPropagator | undefined>> = {
  tracecontext: () => new W3CTraceContextPropagator(),
  baggage: () => new W3CBaggagePropagator(),
  b3: () => createB3Propagator('single'),
  b3multi: () => createB3Propagator('multi'),
  jaeger: () => others().createJaegerPropagator(),
  xray: () => others().createXRayPropagator(),
  none: () => undefined,
}

/** Beside the bundle, and beside this file where there is none. */
function others(): typeof import('./other-propagators.ts') {
  return require(join(__dirname, 'other-propagators.js')) as typeof import('./other-propagators.ts')
}

/** OTEL_PROPAGATORS. `none` turns propagation off. Where a request carries several, the last one that can be read counts, as in the official SDK. */
export function createPropagator(names: readonly PropagatorName[]): TextMapPropagator {
  const propagators = names.map((name) => MAKE[name]()).filter((made) => made !== undefined)
  return withinRequest(withLegalBaggage(new CompositePropagator({ propagators })))
}

/** The headers that say whose request it is where one of the rarer ones is asked for. */
export function rarerHeaders(names: readonly PropagatorName[]): readonly string[] {
  return [
    ...(names.includes('jaeger') ? ['uber-trace-id'] : []),
    ...(names.includes('xray') ? ['x-amzn-trace-id'] : []),
  ]
}
