// A writer whose 'opened' was damaged: what it did is known, who it is is not. It gets a row all the same, so that its end can be
// told once it is proven, by its door; a later segment says its name again.
import { statfsSync } from 'node:fs'
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

/** File systems of one kernel alone: ext4, XFS, Btrfs, tmpfs, overlayfs, ZFS. On any other a shut door may be another machine's. */
const LOCAL: ReadonlySet<number> = new Set([0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630, 0x2fc12fc1])

export function isLocalFolder(dir: string): boolean {
  try {
    return LOCAL.has(statfsSync(dir).type)
  } catch {
    return false
  }
}
