import { fields } from './protobuf-fields.ts'

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
    if (outer.number !== 1 || !Buffer.isBuffer(outer.value)) continue
    for (const { number, value } of fields(outer.value)) {
      if (number === 1 && typeof value === 'number') rejectedSpans = value
      if (number === 2 && Buffer.isBuffer(value)) message = value.toString('utf8', 0, 200)
    }
  }
  return { rejectedSpans, message }
}
