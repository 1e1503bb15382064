// Calls that wait to be looked into, in <dir>/emptied.json: the journals that told of them count as read, and a patrol may end before
// their time has come.
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { QueueEmptied } from '@afterspan/core/internal'
import { isUnderstood } from '../journal/event-check.ts'

export interface EmptiedCall {
  readonly by: string
  readonly event: QueueEmptied
}

export function readEmptied(dir: string): EmptiedCall[] {
  try {
    const calls = JSON.parse(readFileSync(fileIn(dir), 'utf8')) as unknown
    return Array.isArray(calls) ? calls.filter(isCall) : []
  } catch {
    return []
  }
}

/** As a whole or not at all. On a full disk they are known to this patrol alone. */
export function writeEmptied(dir: string, calls: readonly EmptiedCall[]): void {
  const file = fileIn(dir)
  try {
    if (calls.length === 0) {
      rmSync(file, { force: true })
      return
    }
    writeFileSync(`${file}.new`, JSON.stringify(calls), { mode: 0o600 })
    renameSync(`${file}.new`, file)
  } catch {
    // said by whoever writes what matters more
  }
}

function isCall(call: unknown): call is EmptiedCall {
  if (typeof call !== 'object' || call === null) return false
  const { by, event } = call as Partial<EmptiedCall>
  return typeof by === 'string' && typeof event === 'object' && event.kind === 'emptied' && isUnderstood(event)
}

function fileIn(dir: string): string {
  return join(dir, 'emptied.json')
}
