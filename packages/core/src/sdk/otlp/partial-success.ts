/** What an ExportTraceServiceResponse says of spans that were not taken: partial_success (1) with rejected_spans (1) and error_message (2). Nothing where it says nothing, or cannot be read. */
export function partialSuccess(
  contentType: string,
  body: Buffer,
): { readonly rejectedSpans?: number; readonly message?: string } {
  if (body.length === 0) return {}
  try {
    const { rejectedSpans, message } = /json/i.test(contentType) ? fromJson(body) : fromProtobuf(body)
    return Number.isSafeInteger(rejectedSpans) && rejectedSpans > 0 ? { rejectedSpans, message } : {}
  } catch {
    return {}
  }
}

interface Partial {
  readonly rejectedSpans: number
  readonly message: string
}

function fromJson(body: Buffer): Partial {
  const reply = JSON.parse(body.toString()) as {
    partialSuccess?: { rejectedSpans?: number | string; errorMessage?: string }
  }
  const { rejectedSpans = 0, errorMessage = '' } = reply.partialSuccess ?? {}
  return { rejectedSpans: Number(rejectedSpans), message: String(errorMessage).slice(0, 200) }
}

function fromProtobuf(body: Buffer): Partial {
  let rejectedSpans = 0
  let message = ''
  for (const outer of fields(body)) {
    if (outer.number !== 1 || typeof outer.value === 'number') continue
    for (const { number, value } of fields(outer.value)) {
      if (number === 1 && typeof value === 'number') rejectedSpans = value
      if (number === 2 && typeof value !== 'number') message = value.toString('utf8', 0, 200)
    }
  }
  return { rejectedSpans, message }
}

/** Fields of a message with numbers and lengths; throws at anything else. */
function* fields(bytes: Buffer): Generator<{ readonly number: number; readonly value: number | Buffer }> {
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let factor = 1; factor < 2 ** 56; factor *= 128) {
      const byte = bytes.readUInt8(at++)
      value += (byte & 127) * factor
      if (byte < 128) return value
    }
    throw new RangeError('a number of more than 53 bits')
  }
  while (at < bytes.length) {
    const tag = varint()
    if ((tag & 7) === 0) yield { number: tag >>> 3, value: varint() }
    else if ((tag & 7) === 2) {
      const length = varint()
      if (at + length > bytes.length) throw new RangeError('cut off')
      yield { number: tag >>> 3, value: bytes.subarray(at, (at += length)) }
    } else throw new RangeError('not a field of this message')
  }
}
