import type { LateSpawn, RequestAnswered, TaskSpawned } from '@afterspan/core/internal'
import type { RequestKey, RequestRow } from '../ledger/store.ts'

/** A request that was answered, and promised nothing then: what a later promise says of it. */
export function lateRequest(
  key: RequestKey,
  by: string,
  { origin, at, route }: TaskSpawned,
  late: LateSpawn & { readonly service: string | undefined },
): RequestRow {
  const { method, status, outcome = 'sent', hasFailed, service = '', isCounted } = late
  const answered: RequestAnswered = {
    kind: 'answered',
    origin,
    at,
    startedAt: at,
    service,
    method,
    promised: 0,
    outcome,
    ...(hasFailed ? { hasFailed } : {}),
    ...(status === undefined ? {} : { status }),
    ...(route ? { route } : {}),
  }
  return { key, by, answered, isRecovered: false, ...(isCounted ? { counted: 'own' as const } : {}) }
}
