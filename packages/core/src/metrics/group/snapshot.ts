// What one member tells another, and what is kept of a member that may be gone. Both written by the same user on the same host.
import { deserialize, serialize } from 'node:v8'
import type { MetricFamily } from '../../contracts/service.ts'
import type { Totals } from './join.ts'

/** Changes with the shape of families. */
const VERSION = 1

export interface Snapshot {
  readonly version: typeof VERSION
  /** False: the main thread has not answered yet, so that its families are missing. */
  readonly isComplete: boolean
  readonly families: readonly MetricFamily[]
}

export interface Seen {
  readonly version: typeof VERSION
  readonly totals: Totals
  /** Members whose totals are in these; their own files are to be passed over. */
  readonly of: readonly string[]
}

export function encodeSnapshot(isComplete: boolean, families: readonly MetricFamily[]): Buffer {
  return serialize({ version: VERSION, isComplete, families } satisfies Snapshot)
}
export function decodeSnapshot(bytes: Buffer): Snapshot | undefined {
  return decode<Snapshot>(bytes, 'families')
}
export function encodeSeen(totals: Totals, of: readonly string[] = []): Buffer {
  return serialize({ version: VERSION, totals, of } satisfies Seen)
}
export function decodeSeen(bytes: Buffer): Seen | undefined {
  return decode<Seen>(bytes, 'totals')
}

/** Undefined for what another version of Afterspan, or half a write, has left. */
function decode<T extends { readonly version: number }>(bytes: Buffer, list: keyof T & string): T | undefined {
  try {
    const found = deserialize(bytes) as T
    return found?.version === VERSION && Array.isArray(found[list]) ? found : undefined
  } catch {
    return undefined
  }
}
