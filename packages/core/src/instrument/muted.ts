import { DATABASE_CLIENTS } from '../databases/clients.ts'

/** Instrumentations that make spans and nothing else. */
const SPAN_MAKERS = new Set(['grpc', 'http', 'undici', ...DATABASE_CLIENTS.map(({ name }) => name)])

/**
 * OTEL_NODE_ENABLED_INSTRUMENTATIONS and OTEL_NODE_DISABLED_INSTRUMENTATIONS. The first is about what makes spans: routes are
 * read and work is followed all the same, since no other SDK would do it.
 */
export function mutedBy(names: {
  readonly enabled: readonly string[]
  readonly disabled: readonly string[]
}): (instrumentation: string) => boolean {
  const enabled = new Set(names.enabled)
  const disabled = new Set(names.disabled)
  return (name) => disabled.has(name) || (enabled.size > 0 && SPAN_MAKERS.has(name) && !enabled.has(name))
}
