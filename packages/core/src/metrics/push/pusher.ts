// Metrics on their way to a collector, and to stdout: collected at an interval, and once more when the process ends. Loaded by the
// first interval, or by the end.
import type { Attributes } from '@opentelemetry/api'
import type { MetricFamily } from '../../contracts/service.ts'
import { say } from '../../diag.ts'
import type { LastBody } from '../../guard/last-words.ts'
import { postInParts } from '../../sdk/otlp/in-parts.ts'
import { shownUrl, type OtlpSettings } from '../../sdk/otlp/settings.ts'
import type { OtlpReply } from '../../sdk/otlp/reply.ts'
import { postOtlp } from '../../sdk/otlp/transport.ts'
import type { Counter } from '../registry.ts'
import { encodeMetrics } from './encode-metrics.ts'
import type { PushMetric, PushScope, Temporality } from './metric-data.ts'
import { createOwnMetrics } from './own-metrics.ts'

/** Where metrics are taken from. */
export interface PushSources {
  /** Afterspan's own, of both threads. */
  families(): Promise<readonly MetricFamily[]>
  /** Those that can be had at once. */
  familiesNow(): readonly MetricFamily[]
  /** Those of the app's meters. */
  scopes(): Promise<readonly PushScope[]>
  scopesNow(): readonly PushScope[]
}

export interface PusherSettings {
  /** Undefined: not to a collector. */
  readonly otlp: OtlpSettings | undefined
  readonly isPrinted: boolean
  readonly temporality: Temporality
  readonly resource: Attributes
  readonly scope: { readonly name: string; readonly version: string }
  readonly startMs: number
  readonly sources: PushSources
  readonly dropped: Pick<Counter, 'add'>
  readonly exported: Pick<Counter, 'add'>
  readonly failures: Pick<Counter, 'add'>
  readonly now?: () => number
  readonly post?: (settings: OtlpSettings, body: Uint8Array) => Promise<OtlpReply>
}

export interface Pusher {
  /** One collection and what waits beside it. Never rejects; nothing where the last one has not ended. */
  push(): Promise<void>
  /** What is to be told for the last time. Synchronous. */
  takeLast(): LastBody | undefined
}

interface Waiting {
  readonly body: Buffer
  readonly points: number
}

/** Deltas that a collector did not take are kept: nobody else has them. Of cumulative points the next ones say the same. */
const MOST_WAITING = 32
const MOST_WAITING_BYTES = 8 * 1024 * 1024

export function createPusher(settings: PusherSettings): Pusher {
  const { sources, temporality, startMs, scope, resource, now = Date.now } = settings
  const toOwn = createOwnMetrics(temporality, startMs)
  const queue = createQueue(settings)
  let isBusy = false
  const encode = (families: readonly MetricFamily[], scopes: readonly PushScope[]): Waiting | undefined => {
    const own = { scope, metrics: toOwn(families, now()) }
    const all = [own, ...scopes].filter(({ metrics }) => metrics.length > 0)
    if (settings.isPrinted) print(all)
    const points = all.flatMap(({ metrics }) => metrics).reduce((sum, { dataPoints }) => sum + dataPoints.length, 0)
    return points > 0 ? { body: encodeMetrics(resource, all), points } : undefined
  }
  return {
    async push() {
      if (isBusy) return
      isBusy = true
      try {
        const [families, scopes] = await Promise.all([sources.families(), sources.scopes()])
        const made = encode(families, scopes)
        if (made) await queue.send(made)
      } catch {
        settings.failures.add(1, 'unencodable')
      } finally {
        isBusy = false
      }
    },
    takeLast() {
      const made = encode(sources.familiesNow(), sources.scopesNow())
      if (!made || !settings.otlp) return undefined
      return { body: queue.withWaiting(made), settings: settings.otlp, keep() {}, discard() {} }
    },
  }
}

function createQueue({ otlp, temporality, dropped, exported, failures, post = postOtlp }: PusherSettings): {
  send(made: Waiting): Promise<void>
  /** Several requests one behind the other are one: protobuf appends what is repeated. */
  withWaiting(made: Waiting): Buffer
} {
  let waiting: Waiting[] = []
  let retryAt = 0
  const keep = (more: readonly Waiting[]): void => {
    waiting.push(...more)
    let bytes = waiting.reduce((sum, { body }) => sum + body.length, 0)
    while (waiting.length > MOST_WAITING || bytes > MOST_WAITING_BYTES) {
      const oldest = waiting.shift()!
      bytes -= oldest.body.length
      dropped.add(oldest.points, 'queue_full')
    }
  }
  const refused = (made: Waiting, { reason, retryable, retryAfterMs = 0 }: OtlpReply, to: OtlpSettings): void => {
    failures.add(1, reason)
    const isKept = retryable && temporality !== 'cumulative'
    const next = isKept ? 'They are sent again' : retryable ? 'The next ones say the same' : 'They are dropped'
    say('AFS_EXPORT_FAILED', `${shownUrl(to)}: ${reason}, for metrics. ${next}.`, `metrics ${reason}`)
    if (retryable) retryAt = performance.now() + retryAfterMs
    if (isKept) keep([made])
    else if (!retryable) dropped.add(made.points, 'rejected')
  }
  const sendOne = async (settings: OtlpSettings, made: Waiting): Promise<boolean> => {
    const reply = await postInParts(post, settings, made.body)
    if (!reply.ok) {
      refused(made, reply, settings)
      return !reply.retryable
    }
    const rejected = Math.min(reply.rejected ?? 0, made.points)
    exported.add(made.points - rejected)
    if (rejected === 0) return true
    dropped.add(rejected, 'partial_success')
    const why = reply.message || 'it does not say why'
    const text = `${shownUrl(settings)} took an export, but for ${rejected} of its data points: ${why}.`
    say('AFS_EXPORT_FAILED', text, 'metrics partial_success')
    return true
  }
  return {
    async send(made) {
      if (!otlp) return
      const all = [...waiting, made]
      waiting = []
      for (const [i, one] of all.entries()) {
        const isToWait = performance.now() < retryAt
        if (!isToWait && (await sendOne(otlp, one))) continue
        // The collector is away: what is left waits with it.
        const rest = all.slice(isToWait ? i : i + 1)
        if (temporality !== 'cumulative') keep(rest)
        return
      }
    },
    withWaiting: (made) => Buffer.concat([...waiting, made].map(({ body }) => body)),
  }
}

function print(scopes: readonly PushScope[]): void {
  for (const { scope, metrics } of scopes) for (const metric of metrics) printOne(scope.name, metric)
}

function printOne(scope: string, { descriptor, dataPoints }: PushMetric): void {
  try {
    process.stdout.write(`${JSON.stringify({ scope, name: descriptor.name, unit: descriptor.unit, dataPoints })}\n`)
  } catch {
    // stdout is closed
  }
}
