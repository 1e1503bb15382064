// A process that replaces itself (`process.execve`) keeps its pid and its start time, so the one that it was looks alive for ever.
// What cannot be told from outside is asked at the door: the kernel closed it when the process became another.
import type { WorkerRef } from '@afterspan/core/internal'
import type { ProcessRow } from '../ledger/store.ts'

/** Whether two or more say that they are this very process; one at most can be right. Pure. */
export function contestedBy(rows: Iterable<ProcessRow>): (row: ProcessRow) => boolean {
  const claims = new Map<string, number>()
  for (const { worker, deadAt } of rows) {
    if (deadAt !== undefined || worker.threadId !== 0 || worker.pid === 0) continue
    const key = identityOf(worker)
    claims.set(key, (claims.get(key) ?? 0) + 1)
  }
  return ({ worker }) => (claims.get(identityOf(worker)) ?? 0) > 1
}

function identityOf({ pid, startTicks, bootId, pidNamespace }: WorkerRef): string {
  return `${pid} ${startTicks} ${bootId} ${pidNamespace}`
}
