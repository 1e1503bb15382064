import type { WorkerRef } from '@afterspan/core/internal'
import { hostId, namespace, startTicks } from '../worker-ref.ts'

/** What can be said of a process. 'unknown' is never taken for dead. */
export type Liveness = 'alive' | 'stalled' | 'dead' | 'unknown'

/** What the patrol knows of the machine that it looks from. */
export interface Vantage {
  readonly hostId: string
  readonly bootId: string
  readonly pidNamespace: string
  readonly timeNamespace: string
  /** Undefined where /proc does not show it. */
  processOf(pid: number): { readonly ticks: number; readonly state: string } | undefined
  /** By a signal of 0: 'EPERM' is a process of somebody else, so it is there. */
  signal(pid: number): 'there' | 'gone' | 'refused'
}

export function ownVantage(bootId: string): Vantage {
  return {
    hostId: hostId(),
    bootId,
    pidNamespace: namespace('pid'),
    timeNamespace: namespace('time'),
    processOf: startTicks,
    signal,
  }
}

function signal(pid: number): 'there' | 'gone' | 'refused' {
  try {
    process.kill(pid, 0)
    return 'there'
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH' ? 'gone' : 'refused'
  }
}

/**
 * Whether a worker is dead, by proof and not by time. Start time and boot id tell a reused pid from the old process, but only
 * seen from the worker's own namespaces; a zombie answers signals and is dead all the same.
 */
export function look(worker: WorkerRef, from: Vantage): Liveness {
  if (worker.hostId !== from.hostId) return 'unknown'
  if (worker.bootId !== from.bootId) return worker.bootId && from.bootId ? 'dead' : 'unknown'
  if (worker.pidNamespace !== from.pidNamespace || worker.timeNamespace !== from.timeNamespace) return 'unknown'
  const signalled = from.signal(worker.pid)
  if (signalled === 'gone') return 'dead'
  const seen = from.processOf(worker.pid)
  // Hidden from us (hidepid), or no /proc at all: it may live.
  if (!seen) return 'unknown'
  if (worker.startTicks > 0 && seen.ticks !== worker.startTicks) return 'dead'
  if (seen.state === 'Z' || seen.state === 'X') return 'dead'
  return seen.state === 'T' || seen.state === 't' ? 'stalled' : 'alive'
}

/** Whatever the host is called: the boot id is the kernel's, and containers share it. */
export function isOnSameKernel({ bootId }: Pick<WorkerRef, 'bootId'>, from: Pick<Vantage, 'bootId'>): boolean {
  return bootId !== '' && bootId === from.bootId
}
