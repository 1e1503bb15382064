import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'

/** A random UUID, version 4. From the kernel where it gives one: loading `node:crypto` for it is 5 ms of an app's start. */
export function newUuid(): string {
  try {
    const uuid = readFileSync('/proc/sys/kernel/random/uuid', 'latin1').trim()
    if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(uuid)) return uuid
  } catch {
    // not Linux, or no /proc
  }
  return randomUUID()
}
