// A worker thread can end while its process lives on: neither pid nor lock says so, but the thread does, or the one that started it.
import type { WorkerRef } from '@afterspan/core/internal'
import type { ProcessRow } from '../ledger/store.ts'

/** The row with what is known of its end, where it is that of a worker thread that has ended; else undefined. Pure. */
export function endedThread(row: ProcessRow, all: Iterable<ProcessRow>): ProcessRow | undefined {
  const { threadId } = row.worker
  if (threadId === 0) return undefined
  for (const { worker, endedThreads } of all) {
    const threadEnded = endedThreads?.find((ended) => ended.threadId === threadId)
    if (threadEnded && isSameProcess(worker, row.worker)) return { ...row, threadEnded }
  }
  // Its own 'exit' ran: nothing of it runs after that.
  return row.exiting ? row : undefined
}

function isSameProcess(a: WorkerRef, b: WorkerRef): boolean {
  return (
    a.pid === b.pid &&
    a.startTicks === b.startTicks &&
    a.hostId === b.hostId &&
    a.bootId === b.bootId &&
    a.pidNamespace === b.pidNamespace
  )
}
