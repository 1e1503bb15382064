// Keys that reach a given master of a cluster: Redis spreads keys over 16384 slots by the CRC16 of what stands in braces.

const SLOTS = 16_384
const MOST_TRIES = 20_000

/** The slot of a hash tag, as Redis counts it. */
export function slotOf(tag: string): number {
  let crc = 0
  for (const byte of Buffer.from(tag)) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff
  }
  return crc % SLOTS
}

/**
 * One hash tag for each master that `masterOf` names for a slot. A master that has very few slots may be missed; slots of nobody are passed
 * over: whoever asks for them is told so by the cluster.
 */
export function tagsOfMasters<Master>(
  prefix: string,
  masters: number,
  masterOf: (slot: number) => Master | undefined,
): Map<Master, string> {
  const tags = new Map<Master, string>()
  const tries = Math.min(MOST_TRIES, 200 + masters * 50)
  for (let i = 0; i < tries && tags.size < masters; i++) {
    const tag = `${prefix}-${i}`
    const master = masterOf(slotOf(tag))
    if (master !== undefined && !tags.has(master)) tags.set(master, tag)
  }
  return tags
}
