// What the journal says of the resource that a process is. Its first record has to fit into one: without it nobody knows who wrote the rest.
import type { ResourceAttributes } from '@afterspan/core/internal'

const MOST_BYTES = 32 * 1024

/** All of it, or without the longest attributes. */
export function keptResource(resource: ResourceAttributes, mostBytes = MOST_BYTES): ResourceAttributes {
  const sizes = Object.entries(resource).map(([name, value]) => ({ name, bytes: bytesOf({ [name]: value }) }))
  let bytes = sizes.reduce((sum, one) => sum + one.bytes, 0)
  if (bytes <= mostBytes) return resource
  const kept: Record<string, string | number> = { ...resource }
  for (const { name, bytes: own } of sizes.sort((a, b) => b.bytes - a.bytes)) {
    if (bytes <= mostBytes) break
    delete kept[name]
    bytes -= own
  }
  return kept
}

function bytesOf(value: object): number {
  return Buffer.byteLength(JSON.stringify(value))
}
