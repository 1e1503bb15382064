import { fields } from './protobuf-fields.ts'

/** What an Export…ServiceResponse says of what was not taken: partial_success (1) with rejected_spans or alike (1) and error_message (2). Nothing where it says nothing, or cannot be read. */
export function partialSuccess(
  contentType: string,
  body: Buffer,
): { readonly rejected?: number; readonly message?: string } {
  if (body.length === 0) return {}
  try {
    const { rejected, message } = /json/i.test(contentType) ? fromJson(body) : fromProtobuf(body)
    return Number.isSafeInteger(rejected) && rejected > 0 ? { rejected, message } : {}
  } catch {
    return {}
  }
}

interface Partial {
  readonly rejected: number
  readonly message: string
}

function fromJson(body: Buffer): Partial {
  const reply = JSON.parse(body.toString()) as { partialSuccess?: Record<string, number | string> }
  const { rejectedSpans, rejectedDataPoints, rejectedLogRecords, errorMessage = '' } = reply.partialSuccess ?? {}
  const rejected = rejectedSpans ?? rejectedDataPoints ?? rejectedLogRecords ?? 0
  return { rejected: Number(rejected), message: String(errorMessage).slice(0, 200) }
}

function fromProtobuf(body: Buffer): Partial {
  let rejected = 0
  let message = ''
  for (const outer of fields(body)) {
    if (outer.number !== 1 || !Buffer.isBuffer(outer.value)) continue
    for (const { number, value } of fields(outer.value)) {
      if (number === 1 && typeof value === 'number') rejected = value
      if (number === 2 && Buffer.isBuffer(value)) message = value.toString('utf8', 0, 200)
    }
  }
  return { rejected, message }
}
