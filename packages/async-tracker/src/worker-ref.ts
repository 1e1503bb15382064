import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { threadId } from 'node:worker_threads'
import { newUuid, type WorkerRef } from '@afterspan/core/internal'

/** Who this process and thread is. The nonce is new for each start of the SDK: pid and start time survive `process.execve`. */
export function ownWorkerRef(service: string): WorkerRef {
  return {
    hostId: hostId(),
    bootId: readText('/proc/sys/kernel/random/boot_id'),
    pidNamespace: namespace('pid'),
    timeNamespace: namespace('time'),
    pid: process.pid,
    startTicks: startTicks(process.pid)?.ticks ?? 0,
    threadId,
    nonce: newUuid().replaceAll('-', '').slice(16),
    service,
  }
}

/** The name of a writer in journals and ledger. */
export function keyOf({ nonce, threadId }: Pick<WorkerRef, 'nonce' | 'threadId'>): string {
  return `${nonce}.${threadId}`
}

/** Start time in clock ticks since boot, and the state letter, from /proc/PID/stat. Undefined where there is no such process to be seen. */
export function startTicks(pid: number): { readonly ticks: number; readonly state: string } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name is in brackets and may hold brackets and spaces itself: what counts comes after the last one.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return { state: fields[0] ?? '', ticks: Number(fields[19]) }
  } catch {
    return undefined
  }
}

export function namespace(kind: 'pid' | 'time'): string {
  try {
    return readlinkSync(`/proc/self/ns/${kind}`)
  } catch {
    return ''
  }
}

export function hostId(): string {
  return readText('/etc/machine-id') || safeHostname()
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch {
    return ''
  }
}

function safeHostname(): string {
  try {
    return hostname()
  } catch {
    return ''
  }
}
