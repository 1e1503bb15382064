// What the spans of other people's instrumentations say of messages, in the words of semconv of today and of before.
import type { Attributes } from '@opentelemetry/api'
import type { TaskDraft } from '../contracts/integration.ts'

/** What is read of a span: both a ReadableSpan and SpanData have it. */
export interface Told {
  readonly name: string
  readonly attributes: Attributes
}

/** `messaging.system`; bullmq-otel has attributes of its own. */
export function systemOf({ attributes }: Told): string | undefined {
  return text(attributes['messaging.system']) ?? (attributes['bullmq.queue.name'] === undefined ? undefined : 'bullmq')
}

export function draftOf(span: Told, scope: string): TaskDraft {
  const { attributes, name } = span
  const destination =
    text(attributes['messaging.destination.name']) ??
    text(attributes['messaging.destination']) ??
    text(attributes['bullmq.queue.name']) ??
    name
  return { system: systemOf(span) ?? scope, destination, name: text(attributes['bullmq.job.name']) ?? destination }
}

export function messageIdOf({ attributes }: Told): string | undefined {
  const id =
    attributes['messaging.message.id'] ?? attributes['messaging.message_id'] ?? attributes['bullmq.job.id'] ?? ''
  return id === '' ? undefined : String(id as string | number)
}

/** Who reads, where several groups of consumers each get every message. */
export function readerOf({ attributes }: Told): string | undefined {
  return (
    text(attributes['messaging.consumer.group.name']) ??
    text(attributes['messaging.kafka.consumer.group']) ??
    text(attributes['messaging.destination.subscription.name'])
  )
}

const RUNS: ReadonlySet<string> = new Set(['process', 'deliver'])
/** Names of spans that fetch or settle: `receive orders`, and `orders receive` as it was before. */
const NOT_A_RUN = /^(receive|settle|poll)\b|\b(receive|settle|poll)$/i

/** Whether a CONSUMER span is a run of what it received. Fetching messages and settling them is not. */
export function isRun({ attributes, name }: Told): boolean {
  const operation = attributes['messaging.operation.type'] ?? attributes['messaging.operation']
  return operation === undefined ? !NOT_A_RUN.test(name) : RUNS.has(operation as string)
}

/** An attribute that says something in words. */
export function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
