// A writer whose 'opened' was damaged: what it did is known, who it is is not. It gets a row all the same, so that its end can be
// told once it is proven, by its door; a later segment says its name again.
import type { EpochMs, WorkerRef } from '@afterspan/core/internal'
import type { ProcessRow } from '../ledger/store.ts'

export function namelessRow(key: string, at: EpochMs): ProcessRow {
  const [nonce = '', thread = '0'] = key.split('.')
  const worker: WorkerRef = {
    hostId: '',
    bootId: '',
    pidNamespace: '',
    timeNamespace: '',
    pid: 0,
    startTicks: 0,
    threadId: Number(thread),
    nonce,
    service: '',
  }
  return { key, worker, resource: {}, sdkVersion: '', openedAt: at }
}

export function isNameless({ worker }: Pick<ProcessRow, 'worker'>): boolean {
  return worker.pid === 0 && worker.bootId === ''
}
