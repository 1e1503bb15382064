import { createContextKey, type Context, type Span } from '@opentelemetry/api'
import { REQUEST_KEY, type RequestRecord } from '../http/request-record.ts'

/** The key under which the API itself keeps the active span; keys are Symbol.for() underneath. */
export const SPAN_KEY = createContextKey('OpenTelemetry Context Key SPAN')

/** What was taken of the headers of the request as it came: a context. */
export const INBOUND_KEY: symbol = createContextKey('afterspan.inbound')

/** A context that knows some values itself and asks another one for the rest. */
export abstract class LayeredContext implements Context {
  abstract getValue(key: symbol): unknown
  setValue(key: symbol, value: unknown): Context {
    return new OverlayContext(this, key, value)
  }
  deleteValue(key: symbol): Context {
    return new OverlayContext(this, key, undefined)
  }
}

/** The context of a request: what the API's `setSpan` and `setValue` make, without copying a Map twice for every request. */
export class RequestContext extends LayeredContext {
  readonly #inbound: Context
  readonly #span: Span
  readonly #record: RequestRecord

  constructor(inbound: Context, span: Span, record: RequestRecord) {
    super()
    this.#inbound = inbound
    this.#span = span
    this.#record = record
  }
  getValue(key: symbol): unknown {
    if (key === SPAN_KEY) return this.#span
    if (key === REQUEST_KEY) return this.#record
    return key === INBOUND_KEY ? this.#inbound : this.#inbound.getValue(key)
  }
}

/** One value over another context, without a copy of what that holds. */
export class OverlayContext extends LayeredContext {
  readonly #below: Context
  readonly #key: symbol
  readonly #value: unknown

  constructor(below: Context, key: symbol, value: unknown) {
    super()
    this.#below = below
    this.#key = key
    this.#value = value
  }
  getValue(key: symbol): unknown {
    return key === this.#key ? this.#value : this.#below.getValue(key)
  }
}
