/** One field of a protobuf message: varints as numbers, beyond 53 bits as bigints; fixed ones, texts and messages as their bytes. */
export interface ProtobufField {
  readonly number: number
  readonly value: number | bigint | Buffer
}

/** The fields of a message, in their order; throws where it is none. */
export function* fields(bytes: Buffer): Generator<ProtobufField> {
  let at = 0
  const varint = (): number | bigint => {
    let value = 0
    const start = at
    for (let factor = 1; factor < 2 ** 49; factor *= 128) {
      const byte = bytes.readUInt8(at++)
      value += (byte & 127) * factor
      if (byte < 128) return value
    }
    at = start
    let big = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes.readUInt8(at++)
      big |= BigInt(byte & 127) << shift
      if (byte < 128) return BigInt.asUintN(64, big)
    }
    throw new RangeError('a number of more than 64 bits')
  }
  const take = (length: number): Buffer => {
    if (at + length > bytes.length) throw new RangeError('cut off')
    return bytes.subarray(at, (at += length))
  }
  while (at < bytes.length) {
    const tag = Number(varint())
    const number = Math.floor(tag / 8)
    const wire = tag % 8
    if (wire === 0) yield { number, value: varint() }
    else if (wire === 1) yield { number, value: take(8) }
    else if (wire === 2) yield { number, value: take(Number(varint())) }
    else if (wire === 5) yield { number, value: take(4) }
    else throw new RangeError('not a field')
  }
}

/** A packed list of varints, none of them beyond 53 bits. */
export function varints(bytes: Buffer): number[] {
  const out: number[] = []
  for (let at = 0; at < bytes.length;) {
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes.readUInt8(at++)
      value += (byte & 127) * factor
      if (byte < 128) break
    }
    out.push(value)
  }
  return out
}
