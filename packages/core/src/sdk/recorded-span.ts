import {
  SpanStatusCode,
  type Attributes,
  type Exception,
  type HrTime,
  type Link,
  type SpanContext,
  type SpanStatus,
  type TimeInput,
} from '@opentelemetry/api'
import { RequestSpan, type SpanInit } from './request-span.ts'
import type { SpanScope } from './span-data.ts'

/** What is told of a link as SpanData has it, and as the SDK's own spans have it. */
export interface RecordedInit extends SpanInit {
  readonly scope: SpanScope
  readonly parent: SpanContext | undefined
  readonly links: readonly Link[]
}

/** A span of an app or of an instrumentation. It can be read as the spans of the official SDK can (ReadableSpan), where somebody looks behind the API. */
export class RecordedSpan extends RequestSpan {
  readonly instrumentationScope: SpanScope
  readonly parentSpanContext: SpanContext | undefined

  constructor(init: RecordedInit) {
    super(init)
    this.instrumentationScope = init.scope
    this.parentSpanContext = init.parent
    if (init.links.length > 0) this.addLinks([...init.links])
  }

  /** As the official SDK does: instrumentations and their users know its words. */
  override recordException(exception: Exception, time?: TimeInput): void {
    const attributes: Attributes = {}
    if (typeof exception === 'string') attributes['exception.message'] = exception
    else if (exception) {
      const { code, name, message, stack } = exception as {
        code?: string | number
        name?: string
        message?: string
        stack?: string
      }
      if (code) attributes['exception.type'] = String(code)
      else if (name) attributes['exception.type'] = name
      if (message) attributes['exception.message'] = message
      if (stack) attributes['exception.stacktrace'] = stack
    }
    if (attributes['exception.type'] || attributes['exception.message']) this.addEvent('exception', attributes, time)
  }

  get status(): SpanStatus {
    const { code = 0, message } = this.heldStatus ?? {}
    return { code: code as SpanStatusCode, ...(message === undefined ? {} : { message }) }
  }
  get links(): readonly Link[] {
    return this.heldLinks ?? []
  }
  get events(): readonly { name: string; time: HrTime; attributes?: Attributes }[] {
    return (this.heldEvents ?? []).map(({ name, atMs, attributes }) => ({
      name,
      time: hrTime(atMs),
      ...(attributes ? { attributes } : {}),
    }))
  }
  get startTime(): HrTime {
    return hrTime(this.startMs)
  }
  get endTime(): HrTime {
    return hrTime(this.endMs ?? 0)
  }
  get duration(): HrTime {
    return this.endMs === undefined ? [-1, -1] : hrTime(this.endMs - this.startMs)
  }
  get droppedAttributesCount(): number {
    return this.droppedAttributes
  }
  get droppedEventsCount(): number {
    return this.droppedEvents
  }
  get droppedLinksCount(): number {
    return this.droppedLinks
  }
}

function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000)
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)]
}
