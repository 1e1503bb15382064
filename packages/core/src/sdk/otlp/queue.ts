import type { Attributes } from '@opentelemetry/api'
import type { MetricRegistry } from '../../metrics/registry.ts'
import type { SpanSpool } from '../../contracts/span-spool.ts'
import type { Undelivered } from '../../contracts/undelivered.ts'
import { say } from '../../diag.ts'
import type { SpanScope } from '../span-data.ts'
import { nextBackoff } from './backoff.ts'
import { encodeFields, encodeNews, type SpanChunk } from './encode.ts'
import { exportCounters } from './export-counters.ts'
import { wasTaken } from './last-answer.ts'
import { forwardLeft, type Forwarding } from './left-exports.ts'
import { shownUrl, type OtlpSettings } from './settings.ts'
import type { Shipment, UnderWay } from './shipment.ts'
import { SizeLimit, TOO_LARGE } from './size-limit.ts'
import { SpanBatch } from './span-batch.ts'
import { ABOUT_CONTENT, postOtlp, type OtlpBody, type OtlpReply } from './transport.ts'

export interface QueueLimits {
  readonly maxSpans: number
  readonly maxBytes: number
  readonly batchSpans: number
  readonly delayMs: number
}

export interface QueueSettings {
  readonly settings: OtlpSettings
  readonly resource: Attributes
  readonly limits: QueueLimits
  readonly metrics: MetricRegistry
  readonly post?: (settings: OtlpSettings, body: OtlpBody) => Promise<OtlpReply>
}

/** Spans that are no requests' are brought to the disk together. */
const WRITE_MS = 50
/** For so long an export under way keeps a process from its natural end: if its answer is not heard, all of it is sent again at the exit. */
const ANSWER_MS = 50
/** What memory there is for errors when the queue is full, as a part of it. */
const ROOM_FOR_ERRORS = 1.25

/** What goes in one request is hardly larger: nginx before a collector takes 1 MiB where nobody says otherwise, a collector 4 MiB by gRPC. */
const MOST_BATCH_BYTES = 768 * 1024
/** Each is a file or two that are open. */
const MOST_HELD = 32

/** All that the queue had, for the end of the process. */
export interface Taken {
  readonly body: Buffer
  /** Leaves it to the patrol or to the next process, where there is a disk. */
  keep(): void
  /** The collector has it. */
  discard(): void
}

/**
 * Encoded spans on their way out: bounded by number and bytes, retried inside those bounds. On disk at the same time, where there is
 * one, so that the death of the process costs none; what memory has no room for waits there alone. Every drop is counted by reason.
 */
export class SpanQueue {
  readonly #settings: OtlpSettings
  readonly #resource: Attributes
  readonly #limits: QueueLimits
  readonly #post: NonNullable<QueueSettings['post']>
  readonly #counters: ReturnType<typeof exportCounters>
  /** The collector's address as it may be shown. */
  readonly #shownUrl: string
  #spool: SpanSpool | undefined
  #undelivered: Undelivered | undefined
  #forwarding: Forwarding | undefined
  /** Still growing. */
  #errors = new SpanBatch(true, undefined)
  #others = new SpanBatch(false, undefined)
  /** Refused, and to be sent again, or full; the oldest first. */
  #held: Shipment[] = []
  #underWay: UnderWay | undefined
  #spans = 0
  #bytes = 0
  #timer: NodeJS.Timeout | undefined
  #isWriteDue = false
  #hasLast = false
  #isWriteNext = false
  #backoffMs = 0
  readonly #sizes: SizeLimit
  #sending: Promise<void> | undefined
  readonly #encodeNews = (chunks: readonly SpanChunk[]): Buffer => encodeNews(this.#resource, chunks)

  constructor({ settings, resource, limits, metrics, post = postOtlp }: QueueSettings) {
    this.#settings = settings
    this.#resource = resource
    this.#limits = limits
    this.#post = post
    this.#counters = exportCounters(metrics)
    this.#shownUrl = shownUrl(settings)
    this.#sizes = new SizeLimit(settings)
  }

  /** From now on what waits is on disk too. */
  keepIn(spool: SpanSpool): void {
    this.#spool = spool
    if (this.#errors.spans === 0) this.#errors = this.#begin(true)
    if (this.#others.spans === 0) this.#others = this.#begin(false)
  }

  /** Where what this process cannot deliver is left, and what others have left is found. Without a spool alone. */
  leaveIn(undelivered: Undelivered): void {
    this.#undelivered = undelivered
    this.#forwarding = forwardLeft({
      undelivered,
      post: this.#post,
      settings: this.#settings,
      onSent: (spans) => {
        this.#counters.exported.add(spans)
      },
      onRefused: (spans) => {
        this.#counters.dropped.add(spans, 'rejected')
      },
    })
  }

  /** `field` is copied: a span as a field of ScopeSpans (encodeSpanField). False: there is no room for it, and it is dropped and counted. */
  add(scope: SpanScope, field: Uint8Array, isError = false): boolean {
    const { maxSpans, delayMs } = this.#limits
    const hasRoom = this.#hasRoom(field.length)
    // Making room encodes, in the memory that the field may stand in.
    const own = hasRoom ? field : Uint8Array.from(field)
    if (!hasRoom && !this.#makeRoom(own.length, isError)) {
      this.#counters.dropped.add(1, 'queue_full')
      const text = `spans are dropped: ${maxSpans} wait for ${this.#shownUrl} already. afterspan_spans_dropped_total counts them.`
      say('AFS_EXPORT_FAILED', text, 'queue_full')
      return false
    }
    ;(isError ? this.#errors : this.#others).add(scope, own)
    this.#spans++
    this.#bytes += own.length
    if (this.#isFull()) this.#closeFull()
    else this.#schedule(delayMs)
    if (this.#spool) this.#writeSoon()
    return true
  }

  /** Brings all that was added to the disk. True: it survives the process now. */
  write(): boolean {
    // Both, whatever the first one says.
    const isWritten = this.#write(this.#others)
    return this.#write(this.#errors) && isWritten
  }

  /** The same before anything more is heard from outside: with all that ends in this turn. */
  writeAfterTurn(): void {
    if (this.#isWriteNext) return
    this.#isWriteNext = true
    process.nextTick(() => {
      this.#isWriteNext = false
      this.write()
    })
  }

  /** Everything unsent, also what is under way without an answer, which is waited for until then; the queue is empty afterwards. For the crash and exit path. */
  takeAll(answerUntil = 0): Taken | undefined {
    this.write()
    this.#hearLast(answerUntil)
    const batches = [...(this.#underWay?.batches ?? []), ...this.#held.flatMap((held) => held.batches)]
    for (const batch of [this.#errors, this.#others]) if (batch.spans > 0) batches.push(batch)
    this.#underWay = undefined
    this.#held = []
    this.#errors = this.#begin(true)
    this.#others = this.#begin(false)
    this.#spans = 0
    this.#bytes = 0
    if (batches.length === 0) return undefined
    this.#hasLast = true
    return {
      body: Buffer.concat(this.#request(batches)),
      keep: () => {
        for (const batch of batches) this.#leave(batch)
      },
      discard() {
        for (const { file } of batches) file?.discard()
      },
    }
  }

  #hearLast(until: number): void {
    if (!this.#underWay || !wasTaken(this.#underWay.body, until)) return
    for (const { file } of this.#underWay.batches) file?.discard()
    this.#counters.exported.add(this.#underWay.spans)
    this.#underWay = undefined
    this.#hasLast = true
  }

  /** What others have left, for the end of a process that has had something to say there and nothing before. */
  takeLeft(): Taken | undefined {
    return this.#hasLast ? this.#forwarding?.takeLast() : undefined
  }

  #isFull(): boolean {
    const { spans, bytes } = this.#errors
    return spans + this.#others.spans >= this.#limits.batchSpans || bytes + this.#others.bytes >= MOST_BATCH_BYTES
  }

  /** Goes at once where nothing is in its way; else it waits as it is, and the next one begins. */
  #closeFull(): void {
    const isFree = this.#backoffMs === 0 && !this.#sending && this.#held.length === 0
    if (!isFree && this.#held.length < MOST_HELD) this.#held.push(this.#close()!)
    if (this.#backoffMs === 0) void this.#send()
    else this.#schedule(this.#backoffMs)
  }

  #begin(isErrors: boolean): SpanBatch {
    return new SpanBatch(isErrors, this.#spool?.begin(isErrors))
  }

  #write(batch: SpanBatch): boolean {
    return batch.write(this.#encodeNews)
  }

  #writeSoon(): void {
    if (this.#isWriteDue) return
    this.#isWriteDue = true
    setTimeout(() => {
      this.#isWriteDue = false
      this.write()
    }, WRITE_MS).unref()
  }

  #hasRoom(bytes: number, factor = 1): boolean {
    const { maxSpans, maxBytes } = this.#limits
    return this.#spans < maxSpans * factor && this.#bytes + bytes <= maxBytes * factor
  }

  /** What has waited longest goes to the disk alone, and its memory is free. */
  #makeRoom(bytes: number, isError: boolean): boolean {
    while ((this.#spool ?? this.#undelivered) && !this.#hasRoom(bytes)) {
      const oldest = this.#held.shift() ?? this.#close()
      if (!oldest) break
      for (const batch of oldest.batches) this.#setAside(batch)
    }
    return this.#hasRoom(bytes, isError ? ROOM_FOR_ERRORS : 1)
  }

  #setAside(batch: SpanBatch): void {
    if (!this.#leave(batch)) {
      batch.file?.discard()
      this.#counters.dropped.add(batch.spans, 'spool_full')
      say('AFS_EXPORT_FAILED', 'spans are dropped: neither memory nor disk has room for them.', 'spool_full')
    }
    this.#forget(batch)
    batch.release()
  }

  /** True: it is on disk, and no longer ours to send. */
  #leave(batch: SpanBatch): boolean {
    const { file, spans, isErrors } = batch
    if (file) return this.#write(batch) && file.keep(spans)
    return this.#undelivered?.keep(Buffer.concat(this.#request([batch])), { spans, isErrors }) === true
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
    const underWay = this.#next()
    if (!underWay) return Promise.resolve()
    this.#underWay = underWay
    const hold = setTimeout(() => {}, ANSWER_MS)
    this.#sending = this.#post(this.#settings, underWay.body).then((reply) => {
      clearTimeout(hold)
      this.#sending = undefined
      if (this.#underWay !== underWay) return // taken by the crash path meanwhile
      this.#underWay = undefined
      if (reply.ok) this.#taken(underWay, reply)
      else if (TOO_LARGE.has(reply.reason)) this.#tooLarge(underWay, reply)
      else this.#refused(underWay, reply)
      if (this.#spans > 0) this.#schedule(this.#delay())
    })
    return this.#sending
  }

  /** What has waited longest, as far as the collector may take it. */
  #next(): UnderWay | undefined {
    for (;;) {
      const shipment = this.#held.shift() ?? this.#close()
      if (!shipment) return undefined
      const body = this.#request(shipment.batches)
      if (!this.#sizes.isBeyond(body)) return { ...shipment, body }
      this.#divide(shipment)
    }
  }

  #request(batches: readonly SpanBatch[]): Uint8Array[] {
    return encodeFields(
      this.#resource,
      batches.flatMap((batch) => batch.groups()),
    )
  }

  /** In two, which are the next to go; a span that is too large alone is dropped. */
  #divide({ batches, spans }: Shipment): void {
    const [batch] = batches as [SpanBatch]
    let halves = batches
    if (spans === 1) {
      this.#forget(batch)
      this.#counters.dropped.add(1, 'too_large')
      halves = []
    } else if (batches.length === 1) {
      halves = batch.halves((isErrors) => this.#begin(isErrors))
      for (const half of halves) this.#write(half)
    }
    if (halves !== batches) batch.file?.discard()
    this.#held.unshift(...halves.map((half) => ({ batches: [half], spans: half.spans })))
  }

  /** What was growing is a shipment now, and new batches are begun. */
  #close(): Shipment | undefined {
    const spans = this.#errors.spans + this.#others.spans
    if (spans === 0) return undefined
    this.write()
    const batches: SpanBatch[] = []
    if (this.#errors.spans > 0) {
      batches.push(this.#errors)
      this.#errors = this.#begin(true)
    }
    if (this.#others.spans > 0) {
      batches.push(this.#others)
      this.#others = this.#begin(false)
    }
    return { batches, spans }
  }

  #taken({ batches, spans }: Shipment, { isBodyFree, rejected: refused = 0, message = '' }: OtlpReply): void {
    for (const batch of batches) {
      this.#forget(batch)
      batch.file?.discard()
      if (isBodyFree === true) batch.release()
    }
    this.#backoffMs = 0
    this.#forwarding?.isDelivering()
    const rejected = Math.min(refused, spans)
    this.#counters.exported.add(spans - rejected)
    if (rejected === 0) return
    this.#counters.dropped.add(rejected, 'partial_success')
    const text = `${this.#shownUrl} took an export, but for ${rejected} of its spans: ${message || 'it does not say why'}.`
    say('AFS_EXPORT_FAILED', text, 'partial_success')
  }

  #refused(shipment: Shipment, { reason, retryable, retryAfterMs }: OtlpReply): void {
    this.#counters.failures.add(1, reason)
    const hasDisk = (this.#spool ?? this.#undelivered) !== undefined
    const isKept = hasDisk && !ABOUT_CONTENT.has(reason)
    const next = retryable
      ? `Retrying; up to ${this.#limits.maxSpans} spans are kept in memory meanwhile${hasDisk ? ', more on disk' : ''}.`
      : `Those spans are dropped${isKept ? ', but for errors' : ''}.`
    say('AFS_EXPORT_FAILED', `${this.#shownUrl}: ${reason}. ${next}`, reason)
    if (retryable) {
      this.#held.unshift(shipment)
      this.#backoffMs = nextBackoff(this.#backoffMs, retryAfterMs)
      return
    }
    this.#backoffMs = 0
    for (const batch of shipment.batches) {
      this.#forget(batch)
      // It may be the address that is wrong, or the collector that is new: the patrol tries errors some times more.
      if (batch.isErrors && !ABOUT_CONTENT.has(reason) && this.#leave(batch)) continue
      batch.file?.discard()
      this.#counters.dropped.add(batch.spans, 'rejected')
    }
  }

  #tooLarge(shipment: UnderWay, { reason }: OtlpReply): void {
    this.#counters.failures.add(1, reason)
    const text = `${this.#shownUrl}: ${reason}. What was refused is sent again in halves; a span that is too large alone is dropped.`
    say('AFS_EXPORT_FAILED', text, reason)
    this.#backoffMs = 0
    this.#sizes.refused(shipment.body)
    this.#divide(shipment)
  }

  #forget({ spans, bytes }: SpanBatch): void {
    this.#spans -= spans
    this.#bytes -= bytes
  }

  #delay(): number {
    if (this.#backoffMs > 0) return this.#backoffMs * (0.75 + Math.random() * 0.5)
    return this.#held.length > 0 || this.#isFull() ? 0 : this.#limits.delayMs
  }
}
