export const MAGIC = 0x314a5341 // 'ASJ1'
export const HEADER_BYTES = 12
/** Longer ones are not written, and a length above it is damage, before anything is allocated for it. */
export const MOST_PAYLOAD_BYTES = 64 * 1024
