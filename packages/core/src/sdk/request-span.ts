import {
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Attributes,
  type AttributeValue,
  type Exception,
  type Link,
  type Span,
  type SpanContext,
  type SpanStatus,
  type TimeInput,
} from '@opentelemetry/api'
import { cleanValue } from './attribute-value.ts'
import { clockAnchor, toEpochMs } from './time.ts'
import type { SpanData } from './span-data.ts'

export interface SpanLimits {
  readonly attributes: number
  readonly valueLength: number
  readonly events: number
  /** Of one event. */
  readonly eventAttributes: number
  readonly links: number
  /** Of one link. */
  readonly linkAttributes: number
}
const EXCEPTION = 'exception'

export interface SpanInit {
  readonly context: SpanContext
  readonly parentSpanId?: string | undefined
  readonly name: string
  /** SERVER, where nothing is said. */
  readonly kind?: SpanKind
  readonly startMs: number
  readonly attributes: Attributes
  readonly limits: SpanLimits
  readonly onEnd: (data: SpanData, span: RequestSpan) => void
}
interface HeldLink {
  readonly context: SpanContext
  readonly traceId: string
  readonly spanId: string
  readonly traceState?: string | undefined
  readonly attributes?: Attributes
}

/** A light Span for SERVER spans, encoded once when it ends. It keeps the whole contract of the API; after end() it is inert. */
export class RequestSpan implements Span {
  readonly #context: SpanContext
  readonly #limits: SpanLimits
  readonly #onEnd: SpanInit['onEnd']
  /** The clock that it began by. */
  readonly #clock = clockAnchor()
  readonly parentSpanId: string | undefined
  readonly startMs: number
  name: string
  readonly kind: SpanKind
  ended = false
  protected endMs: number | undefined
  attributes: Attributes
  protected heldEvents: { name: string; atMs: number; attributes?: Attributes }[] | undefined
  protected heldLinks: HeldLink[] | undefined
  protected heldStatus: { code: 0 | 1 | 2; message?: string | undefined } | undefined
  #attributeCount = 0
  protected droppedAttributes = 0
  protected droppedEvents = 0
  protected droppedLinks = 0

  constructor(init: SpanInit) {
    this.#context = init.context
    this.#limits = init.limits
    this.#onEnd = init.onEnd
    this.parentSpanId = init.parentSpanId
    this.name = init.name
    this.kind = init.kind ?? SpanKind.SERVER
    this.startMs = init.startMs
    this.attributes = init.attributes
    const most = this.#limits.valueLength
    for (const key in init.attributes) {
      const value = init.attributes[key]
      if (++this.#attributeCount > this.#limits.attributes) {
        delete this.attributes[key]
        this.#attributeCount--
        this.droppedAttributes++
      } else if (typeof value === 'string' && value.length > most) this.attributes[key] = value.slice(0, most)
    }
  }

  get hasException(): boolean {
    return this.heldEvents?.some((event) => event.name === EXCEPTION) ?? false
  }
  get statusCode(): number {
    return this.heldStatus?.code ?? 0
  }

  spanContext(): SpanContext {
    return this.#context
  }
  /** Epoch milliseconds, by the clock that it began by. */
  nowMs(): number {
    return toEpochMs(undefined, this.#clock)
  }
  isRecording(): boolean {
    return !this.ended
  }

  setAttribute(key: string, value: AttributeValue): this {
    if (this.ended || value === undefined || value === null || key === '') return this
    const cleaned = this.cut(value)
    if (cleaned === undefined) return this
    if (this.attributes[key] === undefined) {
      if (this.#attributeCount >= this.#limits.attributes) {
        this.droppedAttributes++
        return this
      }
      this.#attributeCount++
    }
    this.attributes[key] = cleaned
    return this
  }
  setAttributes(values: Attributes): this {
    for (const key in values) if (Object.hasOwn(values, key)) this.setAttribute(key, values[key]!)
    return this
  }
  /** Of too many the last stay, as in the SDK. */
  addEvent(name: string, attributesOrTime?: Attributes | TimeInput, time?: TimeInput): this {
    if (this.ended) return this
    const events = (this.heldEvents ??= [])
    if (events.length >= this.#limits.events) {
      this.droppedEvents++
      if (events.shift() === undefined) return this
    }
    const isTime =
      typeof attributesOrTime === 'number' || attributesOrTime instanceof Date || Array.isArray(attributesOrTime)
    const attributes = isTime ? undefined : (attributesOrTime as Attributes | undefined)
    const atMs = toEpochMs(isTime ? (attributesOrTime as TimeInput) : time, this.#clock)
    events.push({
      name: String(name),
      atMs,
      ...(attributes ? { attributes: this.#bounded(attributes, this.#limits.eventAttributes) } : {}),
    })
    return this
  }
  addLink(link: Link): this {
    // In JavaScript an app may give what is none.
    if (this.ended || !(link as Link | null)?.context) return this
    const links = (this.heldLinks ??= [])
    if (links.length >= this.#limits.links) {
      this.droppedLinks++
      if (links.shift() === undefined) return this
    }
    links.push({
      context: link.context,
      traceId: link.context.traceId,
      spanId: link.context.spanId,
      traceState: stateOf(link.context),
      ...(link.attributes ? { attributes: this.#bounded(link.attributes, this.#limits.linkAttributes) } : {}),
    })
    return this
  }
  addLinks(links: Link[]): this {
    if (Array.isArray(links)) for (const link of links as Link[]) this.addLink(link)
    return this
  }
  setStatus(status: SpanStatus): this {
    // Unset says nothing, and after Ok nothing is said any more: https://opentelemetry.io/docs/specs/otel/trace/api/#set-status
    if (this.ended || !isStatus(status) || this.heldStatus?.code === SpanStatusCode.OK) return this
    this.heldStatus = {
      code: status.code as 0 | 1 | 2,
      message: status.code === SpanStatusCode.ERROR && status.message ? String(this.cut(status.message)) : undefined,
    }
    return this
  }
  updateName(name: string): this {
    if (!this.ended) this.name = String(name)
    return this
  }

  recordException(exception: Exception, time?: TimeInput): void {
    const { type, message, stack } = describeException(exception)
    this.addEvent(
      EXCEPTION,
      {
        'exception.type': type,
        'exception.message': String(this.cut(message)),
        ...(stack ? { 'exception.stacktrace': String(this.cut(stack)) } : {}),
      },
      time,
    )
  }

  end(endTime?: TimeInput): void {
    if (this.ended) return
    this.ended = true
    this.endMs = Math.max(this.startMs, toEpochMs(endTime, this.#clock))
    const { traceId, spanId, traceFlags } = this.#context
    const data: SpanData = {
      traceId,
      spanId,
      parentSpanId: this.parentSpanId,
      traceState: stateOf(this.#context),
      name: this.name,
      // OTLP counts from 1: 0 is "unspecified".
      kind: (this.kind + 1) as SpanData['kind'],
      startMs: this.startMs,
      endMs: this.endMs,
      attributes: this.attributes,
      events: this.heldEvents,
      links: this.heldLinks,
      status: this.heldStatus,
      droppedAttributes: this.droppedAttributes,
      droppedEvents: this.droppedEvents,
      droppedLinks: this.droppedLinks,
      flags: traceFlags & TraceFlags.SAMPLED,
    }
    this.#onEnd(data, this)
  }

  /** The first of them, each cut. */
  #bounded(attributes: Attributes, most: number): Attributes {
    const out: Attributes = {}
    for (const [key, value] of Object.entries(attributes).slice(0, most)) {
      const cleaned = this.cut(value)
      if (cleaned !== undefined) out[key] = cleaned
    }
    return out
  }

  protected cut(value: unknown): AttributeValue {
    return cleanValue(value, this.#limits.valueLength) as AttributeValue
  }
}

/** In JavaScript an app may give a text for it. */
function stateOf({ traceState }: SpanContext): string | undefined {
  return typeof traceState?.serialize === 'function' ? traceState.serialize() : undefined
}

function isStatus(status: SpanStatus | null | undefined): boolean {
  return status?.code === SpanStatusCode.OK || status?.code === SpanStatusCode.ERROR
}

/** A class as a bundler calls it: `a`, `_Refused`; or as one that is not meant to be seen, `TimeoutErrorImpl` of rxjs. */
const SAYS_NOTHING = /^(?:.{1,3}|[$_a-z].*|.*Impl)$/

/** What an exception says of itself, read without trusting it: a getter that throws, a frozen object, null. */
export function describeException(exception: unknown): {
  readonly type: string
  readonly message: string
  readonly stack?: string
} {
  try {
    if (typeof exception === 'string') return { type: 'string', message: exception }
    if (exception === null || (typeof exception !== 'object' && typeof exception !== 'function'))
      return { type: exception === null ? 'null' : typeof exception, message: String(exception) }
    const error = exception as {
      name?: unknown
      message?: unknown
      stack?: unknown
      code?: unknown
      constructor?: { name?: unknown }
    }
    const made = read(() => error.constructor?.name)
    // All that the platform throws is of one class, and many libraries give a plain error a name: that says what it is (AbortError).
    const isNamed = made === undefined || made === 'DOMException' || made === 'Error' || SAYS_NOTHING.test(made)
    const name = isNamed ? read(() => error.name) : undefined
    const named = (name === 'Error' ? made : name) ?? made ?? 'Error'
    const stack = read(() => error.stack)
    const code = read(() => error.code)
    return {
      type: (made === 'Error' || named === 'Error') && code ? code : named,
      message: read(() => error.message) ?? '',
      ...(stack ? { stack } : {}),
    }
  } catch {
    return { type: 'unknown', message: 'the thrown value could not be read' }
  }
}
function read(get: () => unknown): string | undefined {
  try {
    const value = get()
    return typeof value === 'string' && value !== '' ? value : undefined
  } catch {
    return undefined
  }
}
