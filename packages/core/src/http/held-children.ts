// Spans of a request that nobody sampled, until it is known how the request ends: one that fails is told with what was done for it.
import type { Context } from '@opentelemetry/api'
import type { SpanData, SpanScope } from '../sdk/span-data.ts'
import type { HeldChild } from './held-child.ts'
import { activeRequest, type RequestRecord } from './request-record.ts'

/** Of one request; the first ones are kept. */
const MOST_OF_A_REQUEST = 128
/** Of all requests in flight. */
const MOST = 4_096

export interface HeldChildren {
  /** An unsampled span begins. */
  started(span: object, parent: Context): void
  /** It has ended. */
  ended(span: object, scope: SpanScope, data: SpanData): void
  /** The SERVER span has ended. */
  requestEnded(record: RequestRecord, isFailed: boolean): void
}

export function createHeldChildren(exporter: {
  deliver(scope: SpanScope, data: SpanData): boolean
  lose(spans: number, reason: string): void
}): HeldChildren {
  const owners = new WeakMap<object, RequestRecord>()
  let held = 0

  return {
    started(span, parent) {
      const record = activeRequest(parent)
      if (record && (!record.ended || record.children === 'told')) owners.set(span, record)
    },
    ended(span, scope, data) {
      const record = owners.get(span)
      if (!record) return
      if (record.children === 'told') exporter.deliver(scope, { ...data, flags: 1 })
      else if (!record.ended) hold(record, { scope, data })
    },
    requestEnded(record, isFailed) {
      const { children, lostChildren } = record
      if (record.ref.sampled || children === 'told') return
      record.children = isFailed ? 'told' : undefined
      held -= children?.length ?? 0
      if (!isFailed) return
      for (const { scope, data } of children ?? []) exporter.deliver(scope, { ...data, flags: 1 })
      if (lostChildren) exporter.lose(lostChildren, 'unsampled_full')
    },
  }

  function hold(record: RequestRecord, child: HeldChild): void {
    const children = (record.children ??= []) as HeldChild[]
    if (children.length >= MOST_OF_A_REQUEST || held >= MOST) {
      record.lostChildren = (record.lostChildren ?? 0) + 1
      return
    }
    held++
    children.push(child)
  }
}
