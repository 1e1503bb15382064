import type { Span } from '@opentelemetry/api'

let isPatrol = false

/** Who tells how a task ended badly: the process that saw it, by its own export, or the patrol, from the journal. The journal survives what the export queue does not. */
export function patrolTells(): boolean {
  return isPatrol
}
/** Called by the recorder once its journal takes events. */
export function letPatrolTell(on: boolean): void {
  isPatrol = on
}
/** Whether a span is a task's own: its end is told with the task's. */
export function isTaskSpan(span: Span): boolean {
  return (span as { attributes?: Record<string, unknown> }).attributes?.['afterspan.task.id'] !== undefined
}
