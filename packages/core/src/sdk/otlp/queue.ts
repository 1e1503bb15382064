import type { Attributes } from '@opentelemetry/api'
import type { Counter, MetricRegistry } from '../../metrics/registry.ts'
import { say } from '../../diag.ts'
import type { SpanScope } from '../span-data.ts'
import { encodeTraceRequest } from './encode.ts'
import type { OtlpSettings } from './settings.ts'
import { postTraces, type OtlpReply } from './transport.ts'

export interface QueueLimits {
  readonly maxSpans: number
  readonly maxBytes: number
  readonly batchSpans: number
  readonly delayMs: number
}
interface Entry {
  readonly scope: SpanScope
  readonly span: Uint8Array
}

const RETRY_FIRST_MS = 1_000
const RETRY_MOST_MS = 30_000

export interface QueueSettings {
  readonly settings: OtlpSettings
  readonly resource: Attributes
  readonly limits: QueueLimits
  readonly metrics: MetricRegistry
  readonly post?: (settings: OtlpSettings, body: Uint8Array) => Promise<OtlpReply>
}

/** Encoded spans on their way out: bounded by number and bytes, retried inside those bounds, every drop counted by reason. */
export class SpanQueue {
  readonly #settings: OtlpSettings
  readonly #resource: Attributes
  readonly #limits: QueueLimits
  readonly #post: NonNullable<QueueSettings['post']>
  readonly #counters: ReturnType<typeof exportCounters>
  /** The collector's address as it may be shown. */
  readonly #shownUrl: string
  #waiting: Entry[] = []
  #waitingBytes = 0
  #underWay: Entry[] = []
  #timer: NodeJS.Timeout | undefined
  #backoffMs = 0
  #sending: Promise<void> | undefined

  constructor({ settings, resource, limits, metrics, post = postTraces }: QueueSettings) {
    this.#settings = settings
    this.#resource = resource
    this.#limits = limits
    this.#post = post
    this.#counters = exportCounters(metrics)
    this.#shownUrl = settings.url.replace(/\/\/[^/@]*@/, '//')
  }

  add(scope: SpanScope, span: Uint8Array): void {
    const { maxSpans, maxBytes, batchSpans, delayMs } = this.#limits
    const isFull = this.#waiting.length + this.#underWay.length >= maxSpans
    if (isFull || this.#waitingBytes + span.length > maxBytes) {
      this.#counters.dropped.add(1, 'queue_full')
      const text = `spans are dropped: ${maxSpans} wait for ${this.#shownUrl} already. afterspan_spans_dropped_total counts them.`
      say('AFS_EXPORT_FAILED', text, 'queue_full')
      return
    }
    this.#waiting.push({ scope, span })
    this.#waitingBytes += span.length
    if (this.#waiting.length >= batchSpans && this.#backoffMs === 0) void this.#send()
    else this.#schedule(delayMs)
  }

  /** Everything unsent, also what is under way without an answer, as one request; the queue is empty afterwards. For the crash and exit path. */
  takeAll(): Buffer | undefined {
    const all = [...this.#underWay, ...this.#waiting]
    this.#underWay = []
    this.#waiting = []
    this.#waitingBytes = 0
    return all.length === 0 ? undefined : encodeTraceRequest(this.#resource, grouped(all))
  }

  #schedule(ms: number): void {
    if (this.#timer || this.#sending) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      void this.#send()
    }, ms)
    this.#timer.unref()
  }

  #send(): Promise<void> {
    if (this.#sending) return this.#sending
    if (this.#waiting.length === 0) return Promise.resolve()
    clearTimeout(this.#timer)
    this.#timer = undefined
    const batch = this.#waiting.splice(0, this.#limits.batchSpans)
    this.#underWay = batch
    for (const { span } of batch) this.#waitingBytes -= span.length
    const body = encodeTraceRequest(this.#resource, grouped(batch))
    this.#sending = this.#post(this.#settings, body).then((reply) => {
      this.#sending = undefined
      if (this.#underWay !== batch) return // taken by the crash path meanwhile
      this.#underWay = []
      if (reply.ok) this.#taken(batch)
      else this.#refused(batch, reply)
      if (this.#waiting.length > 0) this.#schedule(this.#delay())
    })
    return this.#sending
  }

  #taken(batch: readonly Entry[]): void {
    this.#counters.exported.add(batch.length)
    this.#backoffMs = 0
  }

  #refused(batch: readonly Entry[], { reason, retryable, retryAfterMs }: OtlpReply): void {
    const { failures, dropped } = this.#counters
    failures.add(1, reason)
    const next = retryable
      ? `Retrying; up to ${this.#limits.maxSpans} spans are kept meanwhile.`
      : 'Those spans are dropped.'
    say('AFS_EXPORT_FAILED', `${this.#shownUrl}: ${reason}. ${next}`, reason)
    if (!retryable) {
      dropped.add(batch.length, 'rejected')
      this.#backoffMs = 0
      return
    }
    this.#waiting = [...batch, ...this.#waiting]
    for (const { span } of batch) this.#waitingBytes += span.length
    this.#backoffMs = retryAfterMs ?? Math.min(RETRY_MOST_MS, Math.max(RETRY_FIRST_MS, this.#backoffMs * 2))
  }

  #delay(): number {
    if (this.#backoffMs > 0) return this.#backoffMs * (0.75 + Math.random() * 0.5)
    return this.#waiting.length >= this.#limits.batchSpans ? 0 : this.#limits.delayMs
  }
}

function exportCounters(metrics: MetricRegistry): {
  readonly dropped: Counter
  readonly failures: Counter
  readonly exported: Counter
} {
  const born = [['queue_full'], ['rejected'], ['unencodable']]
  return {
    dropped: metrics.counter('afterspan_spans_dropped', 'Spans that were not delivered, by reason.', ['reason'], born),
    failures: metrics.counter(
      'afterspan_export_failures',
      'Exports that failed, by reason. A failed export is retried where that can help.',
      ['reason'],
    ),
    exported: metrics.counter('afterspan_spans_exported', 'Spans that the collector took.', [], [[]]),
  }
}

function grouped(entries: readonly Entry[]): { scope: SpanScope; spans: Uint8Array[] }[] {
  const byScope = new Map<SpanScope, Uint8Array[]>()
  for (const { scope, span } of entries) {
    const spans = byScope.get(scope)
    if (spans) spans.push(span)
    else byScope.set(scope, [span])
  }
  return [...byScope].map(([scope, spans]) => ({ scope, spans }))
}
