// The spans of messages that have begun and not ended, and what is found by them.
import type { Span, SpanContext } from '@opentelemetry/api'
import type { TaskId } from '../contracts/task.ts'
import type { Promiser } from './producer.ts'
import type { RecordedSpan } from '../sdk/recorded-span.ts'

/** Of spans that nobody ends, and of producers that a consumer in the same process may name: the oldest go first. */
const MOST_KEPT = 50_000

/** An open span, and the tasks that it is about: one for a PRODUCER, which has a promiser, one for each message of a CONSUMER. */
export interface OpenMessage {
  readonly span: RecordedSpan
  readonly taskIds: readonly TaskId[]
  readonly promiser?: Promiser
  isPublished: boolean
}

export class OpenMessages {
  readonly #open = new Map<string, OpenMessage>()
  /** The latest run in each trace: what is sent in that trace is its doing, where no request is active. */
  readonly #runs = new Map<string, OpenMessage>()
  readonly #produced = new Set<string>()

  add(entry: OpenMessage): void {
    const { span, taskIds, promiser } = entry
    const { traceId, spanId } = span.spanContext()
    if (this.#open.size >= MOST_KEPT) this.remove(this.#open.values().next().value!)
    this.#open.set(spanId, entry)
    if (!promiser) this.#runs.set(traceId, entry)
    else {
      if (this.#produced.size >= MOST_KEPT) this.#produced.delete(this.#produced.values().next().value!)
      this.#produced.add(taskIds[0]!)
    }
    ;(span as unknown as Span).setAttribute('afterspan.task.id', taskIds[0]!)
  }
  remove(entry: OpenMessage): void {
    const { traceId, spanId } = entry.span.spanContext()
    this.#open.delete(spanId)
    if (this.#runs.get(traceId) === entry) this.#runs.delete(traceId)
  }
  /** It is no task after all. */
  disown(entry: OpenMessage): void {
    this.remove(entry)
    delete entry.span.attributes['afterspan.task.id']
  }
  of(spanId: string): OpenMessage | undefined {
    return this.#open.get(spanId)
  }
  /** The task whose run a child of that span belongs to. */
  taskAround({ spanId, traceId }: SpanContext): TaskId | undefined {
    return (this.#open.get(spanId) ?? this.#runs.get(traceId))?.taskIds[0]
  }
  /** Whether a PRODUCER of this process has that id. */
  hasProduced(id: TaskId): boolean {
    return this.#produced.has(id)
  }
}
