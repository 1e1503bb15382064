import type { Attributes } from '@opentelemetry/api'
import type { MetricRegistry } from '../../metrics/registry.ts'
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
export interface SpanQueue {
  add(scope: SpanScope, span: Uint8Array): void
  /** Everything unsent, also what is under way without an answer, as one request; the queue is empty afterwards. For the crash and exit path. */
  takeAll(): Buffer | undefined
  flush(): Promise<void>
}
interface Entry {
  readonly scope: SpanScope
  readonly span: Uint8Array
}

const RETRY_FIRST_MS = 1_000
const RETRY_MOST_MS = 30_000

/** Encoded spans on their way out: bounded by number and bytes, retried inside those bounds, every drop counted by reason. */
export function createSpanQueue(options: {
  readonly settings: OtlpSettings
  readonly resource: Attributes
  readonly limits: QueueLimits
  readonly metrics: MetricRegistry
  readonly post?: (settings: OtlpSettings, body: Uint8Array) => Promise<OtlpReply>
}): SpanQueue {
  const { settings, resource, limits, metrics } = options
  const post = options.post ?? postTraces
  const dropped = metrics.counter(
    'afterspan_spans_dropped',
    'Spans that were not delivered, by reason.',
    ['reason'],
    [['queue_full'], ['rejected']],
  )
  const failures = metrics.counter(
    'afterspan_export_failures',
    'Exports that failed, by reason. A failed export is retried where that can help.',
    ['reason'],
  )
  const exported = metrics.counter('afterspan_spans_exported', 'Spans that the collector took.', [], [[]])
  let waiting: Entry[] = []
  let waitingBytes = 0
  let underWay: Entry[] = []
  let timer: NodeJS.Timeout | undefined
  let backoffMs = 0
  let sending: Promise<void> | undefined

  function add(scope: SpanScope, span: Uint8Array): void {
    if (waiting.length + underWay.length >= limits.maxSpans || waitingBytes + span.length > limits.maxBytes) {
      dropped.add(1, 'queue_full')
      say(
        'AFS_EXPORT_FAILED',
        `spans are dropped: ${limits.maxSpans} wait for ${settings.url.replace(/\/\/[^/@]*@/, '//')} already. afterspan_spans_dropped_total counts them.`,
        'queue_full',
      )
      return
    }
    waiting.push({ scope, span })
    waitingBytes += span.length
    if (waiting.length >= limits.batchSpans && backoffMs === 0) void send()
    else schedule(limits.delayMs)
  }

  function schedule(ms: number): void {
    if (timer || sending) return
    timer = setTimeout(() => {
      timer = undefined
      void send()
    }, ms)
    timer.unref()
  }

  function send(): Promise<void> {
    if (sending) return sending
    if (waiting.length === 0) return Promise.resolve()
    if (timer) {
      clearTimeout(timer)
      timer = undefined
    }
    underWay = waiting.splice(0, limits.batchSpans)
    for (const { span } of underWay) waitingBytes -= span.length
    const batch = underWay
    sending = post(settings, encodeTraceRequest(resource, grouped(batch))).then((reply) => {
      sending = undefined
      if (underWay !== batch) return // taken by the crash path meanwhile
      underWay = []
      settle(batch, reply)
    })
    return sending
  }

  function settle(batch: Entry[], reply: OtlpReply): void {
    if (reply.ok) {
      exported.add(batch.length)
      backoffMs = 0
    } else {
      failures.add(1, reply.reason)
      say(
        'AFS_EXPORT_FAILED',
        `${settings.url.replace(/\/\/[^/@]*@/, '//')}: ${reply.reason}. ${reply.retryable ? 'Retrying; up to ' + limits.maxSpans + ' spans are kept meanwhile.' : 'Those spans are dropped.'}`,
        reply.reason,
      )
      if (reply.retryable) {
        waiting = [...batch, ...waiting]
        for (const { span } of batch) waitingBytes += span.length
        backoffMs = reply.retryAfterMs ?? Math.min(RETRY_MOST_MS, Math.max(RETRY_FIRST_MS, backoffMs * 2))
      } else {
        dropped.add(batch.length, 'rejected')
        backoffMs = 0
      }
    }
    if (waiting.length > 0)
      schedule(
        backoffMs > 0
          ? backoffMs * (0.75 + Math.random() * 0.5)
          : waiting.length >= limits.batchSpans
            ? 0
            : limits.delayMs,
      )
  }

  return {
    add,
    takeAll() {
      const all = [...underWay, ...waiting]
      underWay = []
      waiting = []
      waitingBytes = 0
      return all.length === 0 ? undefined : encodeTraceRequest(resource, grouped(all))
    },
    async flush() {
      while (waiting.length > 0 && backoffMs === 0) await send()
      await sending
    },
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
