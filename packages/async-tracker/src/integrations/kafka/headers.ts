// The trace context travels in the record's headers, under the names of the W3C, as OpenTelemetry's own instrumentations have it.
import type { Carrier } from '@afterspan/core/internal'
import type { Bag, Fields } from '../sending/bag.ts'

/** A copy of the message with the carrier among its headers. The app's own words for the same names give way: they name the request, and this names the task. */
export function withHeaders<M extends { readonly headers?: unknown }>(message: M, { fields }: Bag): M {
  return { ...message, headers: { ...(message.headers as Fields | undefined), ...fields } }
}

/** What a client hands out: bytes or text by name, several of them as a list. */
export function headersCarrier(headers: object | undefined): Carrier {
  return {
    get(key) {
      const value = (headers as Fields | undefined)?.[key]
      return textOf(Array.isArray(value) ? (value as unknown[])[0] : value)
    },
    set() {},
  }
}

export function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  return Buffer.isBuffer(value) ? value.toString() : undefined
}
