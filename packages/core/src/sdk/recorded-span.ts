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
import { hideOwnFrames } from '../instrument/hidden-frames.ts'
import { RequestSpan, type SpanInit } from './request-span.ts'
import type { SpanScope } from './span-data.ts'

export interface RecordedInit extends SpanInit {
  readonly scope: SpanScope
  readonly parent: SpanContext | undefined
  readonly links: readonly Link[]
}

/** A span of an app or of an instrumentation. It can be read as the spans of the official SDK can (ReadableSpan), where somebody looks behind the API. */
export class RecordedSpan extends RequestSpan {
  readonly instrumentationScope: SpanScope
  readonly parentSpanContext: SpanContext | undefined
  /** The request itself, which this process has a SERVER span of already. */
  isRetold = false
  /** Followed as work of its request, or as a part of such work. */
  isWork = false
  /** What each observer has given for it. */
  readonly marks: unknown[] = []

  constructor(init: RecordedInit) {
    super(init)
    this.instrumentationScope = init.scope
    this.parentSpanContext = init.parent
    for (const link of init.links) this.addLink(link)
  }

  /** In the words of the official SDK, which instrumentations and their users know; in those of our own where the exception cannot be read. */
  override recordException(exception: Exception, time?: TimeInput): void {
    let attributes: Attributes
    hideOwnFrames(exception)
    try {
      attributes = wordsOf(exception)
    } catch {
      super.recordException(exception, time)
      return
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

function wordsOf(exception: Exception): Attributes {
  if (typeof exception === 'string') return { 'exception.message': exception }
  const { code, name, message, stack } = (exception ?? {}) as unknown as Readonly<Record<string, unknown>>
  const type = code || name
  return {
    ...(type ? { 'exception.type': textOf(type) } : {}),
    ...(message ? { 'exception.message': textOf(message) } : {}),
    ...(stack ? { 'exception.stacktrace': textOf(stack) } : {}),
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : String(value as number)
}
