import type { Attributes } from '@opentelemetry/api'

/** Semconv `messaging.*` (Development, 1.45.0): what every span of a queue says of its queue. */
export function messaging(
  { system, destination }: { readonly system: string; readonly destination: string },
  operation: 'send' | 'process',
): Attributes {
  return {
    'messaging.system': system,
    'messaging.destination.name': destination,
    'messaging.operation.name': operation,
    'messaging.operation.type': operation,
  }
}
