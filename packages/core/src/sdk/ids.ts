import { randomFillSync } from 'node:crypto'

// One draw of 4 KiB serves 170 requests: a call per id costs five times as much.
const pool = Buffer.allocUnsafe(4096)
let at = pool.length

function hex(bytes: number): string {
  if (at + bytes > pool.length) {
    randomFillSync(pool)
    at = 0
  }
  const id = pool.toString('hex', at, at + bytes)
  at += bytes
  return id
}

/** 32 hex characters, never all zero. */
export function traceId(): string {
  let id = hex(16)
  while (id === '00000000000000000000000000000000') id = hex(16)
  return id
}
/** 16 hex characters, never all zero. */
export function spanId(): string {
  let id = hex(8)
  while (id === '0000000000000000') id = hex(8)
  return id
}
