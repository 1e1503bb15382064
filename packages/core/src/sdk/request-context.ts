import { createContextKey, type Context, type Span } from '@opentelemetry/api'
import { systemClock } from '../clock.ts'
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

/** From the first work behind its response on: what goes on after that is a loop that some request happened to start, and is nobody's. */
const FOLLOWED_MS = 3_600_000

/** A wall clock that is set does not end what is followed. */
const { monotonicMs } = systemClock

/** The context of a request: what the API's `setSpan` and `setValue` make, without copying a Map twice for every request. */
export class RequestContext extends LayeredContext {
  readonly #inbound: Context
  readonly #span: Span
  readonly #record: RequestRecord
  readonly #nowMs: () => number
  #lateSinceMs = 0

  constructor(inbound: Context, span: Span, record: RequestRecord, nowMs = monotonicMs) {
    super()
    this.#inbound = inbound
    this.#span = span
    this.#record = record
    this.#nowMs = nowMs
  }
  getValue(key: symbol): unknown {
    if (this.#record.ended && this.#isPast()) return undefined
    if (key === SPAN_KEY) return this.#span
    if (key === REQUEST_KEY) return this.#record
    return key === INBOUND_KEY ? this.#inbound : this.#inbound.getValue(key)
  }
  #isPast(): boolean {
    const at = this.#nowMs()
    this.#lateSinceMs ||= at
    return at - this.#lateSinceMs > FOLLOWED_MS
  }
}

/** Values that lie over each other, at most: an app that goes on from span to span would heap them up, and each keeps its span. */
const MOST_LAYERS = 4

/** One value over another context, without a copy of what that holds. */
export class OverlayContext extends LayeredContext {
  readonly #below: Context
  readonly #key: symbol
  readonly #value: unknown
  readonly #layers: number

  constructor(below: Context, key: symbol, value: unknown) {
    super()
    this.#below = below
    this.#key = key
    this.#value = value
    this.#layers = below instanceof OverlayContext ? below.#layers + 1 : 1
  }
  getValue(key: symbol): unknown {
    return key === this.#key ? this.#value : this.#below.getValue(key)
  }
  override setValue(key: symbol, value: unknown): Context {
    if (key === this.#key) return new OverlayContext(this.#below, key, value)
    return this.#layers < MOST_LAYERS
      ? new OverlayContext(this, key, value)
      : OverlayContext.#flat(this).setValue(key, value)
  }
  override deleteValue(key: symbol): Context {
    return this.setValue(key, undefined)
  }
  static #flat(top: OverlayContext): Context {
    const values = new Map<symbol, unknown>()
    let at: Context = top
    for (; at instanceof OverlayContext; at = at.#below) if (!values.has(at.#key)) values.set(at.#key, at.#value)
    return new FlatContext(at, values)
  }
}

/** Several values over another context. */
class FlatContext extends LayeredContext {
  readonly #below: Context
  readonly #values: ReadonlyMap<symbol, unknown>

  constructor(below: Context, values: ReadonlyMap<symbol, unknown>) {
    super()
    this.#below = below
    this.#values = values
  }
  getValue(key: symbol): unknown {
    return this.#values.has(key) ? this.#values.get(key) : this.#below.getValue(key)
  }
  override setValue(key: symbol, value: unknown): Context {
    return new FlatContext(this.#below, new Map(this.#values).set(key, value))
  }
  override deleteValue(key: symbol): Context {
    return this.setValue(key, undefined)
  }
}

/** As the context's own `setValue`, which copies a Map where the context is none of ours. */
export function withValue(context: Context, key: symbol, value: unknown): Context {
  return context instanceof LayeredContext ? context.setValue(key, value) : new OverlayContext(context, key, value)
}
