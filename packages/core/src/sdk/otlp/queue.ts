import type { Attributes } from '@opentelemetry/api'
import type { Counter, MetricRegistry } from '../../metrics/registry.ts'
import { say } from '../../diag.ts'
import type { SpanScope } from '../span-data.ts'
import { encodeFields } from './encode.ts'
import type { OtlpSettings } from './settings.ts'
import { SpanBatch } from './span-batch.ts'
import { postTraces, type OtlpBody, type OtlpReply } from './transport.ts'

export interface QueueLimits {
  readonly maxSpans: number
  readonly maxBytes: number
  readonly batchSpans: number
  readonly delayMs: number
}
const RETRY_FIRST_MS = 1_000
const RETRY_MOST_MS = 30_000

export interface QueueSettings {
  readonly settings: OtlpSettings
  readonly resource: Attributes
  readonly limits: QueueLimits
  readonly metrics: MetricRegistry
  readonly post?: (settings: OtlpSettings, body: OtlpBody) => Promise<OtlpReply>
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
  /** Still growing. */
  #open = new SpanBatch()
  /** Refused, and to be sent again; the oldest first. */
  #held: SpanBatch[] = []
  #underWay: SpanBatch | undefined
  #spans = 0
  #bytes = 0
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

  /** `field` is copied: a span as a field of ScopeSpans (encodeSpanField). */
  add(scope: SpanScope, field: Uint8Array): void {
    const { maxSpans, maxBytes, batchSpans, delayMs } = this.#limits
    if (this.#spans >= maxSpans || this.#bytes + field.length > maxBytes) {
      this.#counters.dropped.add(1, 'queue_full')
      const text = `spans are dropped: ${maxSpans} wait for ${this.#shownUrl} already. afterspan_spans_dropped_total counts them.`
      say('AFS_EXPORT_FAILED', text, 'queue_full')
      return
    }
    this.#open.add(scope, field)
    this.#spans++
    this.#bytes += field.length
    if (this.#open.spans >= batchSpans && this.#backoffMs === 0) void this.#send()
    else this.#schedule(delayMs)
  }

  /** Everything unsent, also what is under way without an answer, as one request; the queue is empty afterwards. For the crash and exit path. */
  takeAll(): { readonly body: Buffer; readonly spans: number } | undefined {
    const all = [...(this.#underWay ? [this.#underWay] : []), ...this.#held, this.#open].filter(
      (batch) => batch.spans > 0,
    )
    this.#underWay = undefined
    this.#held = []
    this.#open = new SpanBatch()
    const spans = this.#spans
    this.#spans = 0
    this.#bytes = 0
    if (all.length === 0) return undefined
    const groups = all.flatMap((batch) => batch.groups())
    return { body: Buffer.concat(encodeFields(this.#resource, groups)), spans }
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
    clearTimeout(this.#timer)
    this.#timer = undefined
    const batch = this.#next()
    if (!batch) return Promise.resolve()
    this.#underWay = batch
    const body = encodeFields(this.#resource, batch.groups())
    this.#sending = this.#post(this.#settings, body).then((reply) => {
      this.#sending = undefined
      if (this.#underWay !== batch) return // taken by the crash path meanwhile
      this.#underWay = undefined
      if (reply.ok) this.#taken(batch, reply.isBodyFree === true)
      else this.#refused(batch, reply)
      if (this.#spans > 0) this.#schedule(this.#delay())
    })
    return this.#sending
  }

  #next(): SpanBatch | undefined {
    const held = this.#held.shift()
    if (held || this.#open.spans === 0) return held
    const batch = this.#open
    this.#open = new SpanBatch()
    return batch
  }

  #taken(batch: SpanBatch, isBodyFree: boolean): void {
    this.#forget(batch)
    if (isBodyFree) batch.release()
    this.#counters.exported.add(batch.spans)
    this.#backoffMs = 0
  }

  #refused(batch: SpanBatch, { reason, retryable, retryAfterMs }: OtlpReply): void {
    const { failures, dropped } = this.#counters
    failures.add(1, reason)
    const next = retryable
      ? `Retrying; up to ${this.#limits.maxSpans} spans are kept meanwhile.`
      : 'Those spans are dropped.'
    say('AFS_EXPORT_FAILED', `${this.#shownUrl}: ${reason}. ${next}`, reason)
    if (!retryable) {
      this.#forget(batch)
      dropped.add(batch.spans, 'rejected')
      this.#backoffMs = 0
      return
    }
    this.#held.unshift(batch)
    this.#backoffMs = retryAfterMs ?? Math.min(RETRY_MOST_MS, Math.max(RETRY_FIRST_MS, this.#backoffMs * 2))
  }

  #forget({ spans, bytes }: SpanBatch): void {
    this.#spans -= spans
    this.#bytes -= bytes
  }

  #delay(): number {
    if (this.#backoffMs > 0) return this.#backoffMs * (0.75 + Math.random() * 0.5)
    return this.#held.length > 0 || this.#open.spans >= this.#limits.batchSpans ? 0 : this.#limits.delayMs
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
