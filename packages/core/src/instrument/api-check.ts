import {
  context,
  metrics,
  propagation,
  trace,
  type ContextManager,
  type MeterProvider,
  type TextMapPropagator,
  type TracerProvider,
} from '@opentelemetry/api'
import { say } from '../diag.ts'

/** Takes OpenTelemetry's four globals. One that is taken already means a second SDK, or an API of another version that was there first: it is named. */
export function setGlobals(ours: {
  readonly manager: ContextManager
  readonly meterProvider: MeterProvider
  readonly propagator: TextMapPropagator
  readonly tracerProvider: TracerProvider
}): void {
  const taken: string[] = []
  if (!context.setGlobalContextManager(ours.manager)) taken.push('context')
  if (!trace.setGlobalTracerProvider(ours.tracerProvider)) taken.push('traces')
  if (!propagation.setGlobalPropagator(ours.propagator)) taken.push('propagation')
  if (!metrics.setGlobalMeterProvider(ours.meterProvider)) taken.push('metrics')
  if (taken.length === 0) return
  say(
    'AFS_API_TAKEN',
    `OpenTelemetry's ${taken.join(', ')} belong to another SDK, or to another version of @opentelemetry/api, that was loaded first: ` +
      `those signals of Afterspan are incomplete. Load afterspan/register before it, or remove it.`,
  )
}
