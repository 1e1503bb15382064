// grpc.health.v1 by hand: its messages are a string, a number, and a map of the two. See grpc/health/v1/health.proto.

export const HEALTH_SERVICE = 'grpc.health.v1.Health'
export const CHECK = `/${HEALTH_SERVICE}/Check`
export const LIST = `/${HEALTH_SERVICE}/List`
export const WATCH = `/${HEALTH_SERVICE}/Watch`

/** ServingStatus of the protocol. */
export const SERVING = { unknown: 0, serving: 1, notServing: 2, serviceUnknown: 3 } as const
export type Serving = (typeof SERVING)[keyof typeof SERVING]

const MOST_BYTES = 1024
const STRING_1 = 0x0a
const STRING_2 = 0x12
const NUMBER_1 = 0x08

/** HealthCheckRequest: the name of a service, '' for the server as a whole. */
export function encodeRequest(service: string): Buffer {
  return service === '' ? Buffer.alloc(0) : field(STRING_1, Buffer.from(service))
}

export function decodeRequest(bytes: Uint8Array): string {
  let service = ''
  for (const [tag, value] of fields(bytes))
    if (tag === STRING_1 && typeof value !== 'number') service = value.toString()
  return service
}

/** HealthCheckResponse. */
export function encodeResponse(status: Serving): Buffer {
  return status === SERVING.unknown ? Buffer.alloc(0) : Buffer.from([NUMBER_1, status])
}

/** What a newer protocol may say beside the four is unknown. */
export function decodeResponse(bytes: Uint8Array): Serving {
  let status: number = SERVING.unknown
  for (const [tag, value] of fields(bytes)) if (tag === NUMBER_1 && typeof value === 'number') status = value
  return status === 1 || status === 2 || status === 3 ? status : SERVING.unknown
}

/** HealthListResponse. */
export function encodeList(statuses: ReadonlyMap<string, Serving>): Buffer {
  const entries = [...statuses].map(([name, status]) =>
    field(STRING_1, Buffer.concat([field(STRING_1, Buffer.from(name)), field(STRING_2, encodeResponse(status))])),
  )
  return Buffer.concat(entries)
}

function field(tag: number, bytes: Buffer): Buffer {
  const head = [tag]
  let rest = bytes.length
  for (; rest > 0x7f; rest >>>= 7) head.push((rest & 0x7f) | 0x80)
  return Buffer.concat([Buffer.from([...head, rest]), bytes])
}

/** Fields that are a number or have a length; ends at the first one that is neither, or is cut off. */
function* fields(bytes: Uint8Array): Generator<readonly [tag: number, value: Buffer | number]> {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, MOST_BYTES))
  let at = 0
  const number = (): number => {
    let value = 0
    for (let shift = 0; at < all.length && shift < 28; shift += 7) {
      const byte = all[at++]!
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    at = all.length
    return 0
  }
  while (at < all.length) {
    const tag = number()
    if ((tag & 7) === 0) yield [tag, number()]
    else if ((tag & 7) === 2) {
      const length = number()
      yield [tag, all.subarray(at, at + length)]
      at += length
    } else return
  }
}
