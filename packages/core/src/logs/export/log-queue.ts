import type { Attributes } from '@opentelemetry/api'
import { say } from '../../diag.ts'
import type { LastBody } from '../../guard/last-words.ts'
import type { Counter } from '../../metrics/registry.ts'
import { wasTaken } from '../../sdk/otlp/last-answer.ts'
import { postInParts } from '../../sdk/otlp/in-parts.ts'
import { nextBackoff } from '../../sdk/otlp/backoff.ts'
import type { OtlpReply } from '../../sdk/otlp/reply.ts'
import { shownUrl, type OtlpSettings } from '../../sdk/otlp/settings.ts'
import { postOtlp } from '../../sdk/otlp/transport.ts'
import { encodeLogs, type EncodedLog } from './encode-logs.ts'

export interface LogQueueSettings {
  readonly otlp: OtlpSettings
  readonly resource: Attributes
  readonly limits: { readonly maxRecords: number; readonly batchRecords: number; readonly delayMs: number }
  readonly dropped: Pick<Counter, 'add'>
  readonly exported: Pick<Counter, 'add'>
  readonly failures: Pick<Counter, 'add'>
  readonly post?: (settings: OtlpSettings, body: Uint8Array) => Promise<OtlpReply>
}
const MOST_BYTES = 8 * 1024 * 1024

/** Encoded records on their way out: in memory alone, bounded by number and bytes; what has no room is dropped and counted. */
export class LogQueue {
  readonly #settings: LogQueueSettings
  /** The collector's address as it may be shown. */
  readonly #shownUrl: string
  #waiting: EncodedLog[] = []
  #underWay: readonly EncodedLog[] = []
  #request: Buffer | undefined
  #bytes = 0
  #timer: NodeJS.Timeout | undefined
  #backoffMs = 0

  constructor(settings: LogQueueSettings) {
    this.#settings = settings
    this.#shownUrl = shownUrl(settings.otlp)
  }

  /** False: one more is dropped and counted. */
  hasRoom(): boolean {
    const { limits, dropped } = this.#settings
    if (this.#waiting.length + this.#underWay.length < limits.maxRecords && this.#bytes < MOST_BYTES) return true
    dropped.add(1, 'queue_full')
    const text = `log records are dropped: ${limits.maxRecords} wait for ${this.#shownUrl} already. afterspan_log_records_dropped_total counts them.`
    say('AFS_EXPORT_FAILED', text, 'logs queue_full')
    return false
  }

  /** Where there is room. */
  add(log: EncodedLog): void {
    const { limits } = this.#settings
    this.#waiting.push(log)
    this.#bytes += log.bytes.length
    if (this.#waiting.length >= limits.batchRecords && this.#backoffMs === 0) void this.#send()
    else this.#schedule(limits.delayMs)
  }

  /** Everything unsent, also what is under way without an answer, which is waited for until then. For the end of the process. */
  takeLast(answerUntil: number): LastBody | undefined {
    const { otlp, resource } = this.#settings
    const isTaken = this.#request !== undefined && wasTaken(this.#request, answerUntil)
    const all = isTaken ? this.#waiting : [...this.#underWay, ...this.#waiting]
    this.#request = undefined
    this.#underWay = []
    this.#waiting = []
    this.#bytes = 0
    if (all.length === 0) return undefined
    return { body: encodeLogs(resource, all), settings: otlp, keep() {}, discard() {} }
  }

  #schedule(ms: number): void {
    if (this.#timer || this.#underWay.length > 0) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      void this.#send()
    }, ms)
    this.#timer.unref()
  }

  async #send(): Promise<void> {
    if (this.#underWay.length > 0 || this.#waiting.length === 0) return
    const { otlp, resource, limits, post = postOtlp } = this.#settings
    clearTimeout(this.#timer)
    this.#timer = undefined
    const batch = (this.#underWay = this.#waiting.slice(0, limits.batchRecords))
    this.#waiting = this.#waiting.slice(batch.length)
    this.#request = encodeLogs(resource, batch)
    const reply = await postInParts(post, otlp, this.#request)
    if (this.#underWay !== batch) return // taken by the end of the process meanwhile
    this.#underWay = []
    this.#request = undefined
    if (reply.ok) this.#taken(batch, reply)
    else this.#refused(batch, reply)
    const isFull = this.#waiting.length >= limits.batchRecords
    if (this.#waiting.length > 0) this.#schedule(this.#backoffMs > 0 ? this.#backoffMs : isFull ? 0 : limits.delayMs)
  }

  #taken(batch: readonly EncodedLog[], { rejected: refused = 0 }: OtlpReply): void {
    this.#backoffMs = 0
    this.#forget(batch)
    const rejected = Math.min(refused, batch.length)
    this.#settings.exported.add(batch.length - rejected)
    if (rejected > 0) this.#settings.dropped.add(rejected, 'partial_success')
  }

  #refused(batch: readonly EncodedLog[], { reason, retryable, retryAfterMs }: OtlpReply): void {
    const { limits, failures, dropped } = this.#settings
    failures.add(1, reason)
    const next = retryable ? `Retrying; up to ${limits.maxRecords} are kept meanwhile` : 'They are dropped'
    say('AFS_EXPORT_FAILED', `${this.#shownUrl}: ${reason}, for logs. ${next}.`, `logs ${reason}`)
    if (retryable) {
      this.#waiting = [...batch, ...this.#waiting]
      this.#backoffMs = nextBackoff(this.#backoffMs, retryAfterMs)
      return
    }
    this.#backoffMs = 0
    this.#forget(batch)
    dropped.add(batch.length, 'rejected')
  }

  #forget(batch: readonly EncodedLog[]): void {
    this.#bytes -= batch.reduce((sum, log) => sum + log.bytes.length, 0)
  }
}
