import type { SpanKindName, StatusName, StoredSpan } from './stored-span.ts'

/** What the bytes say is not OTLP. Thrown by the two readers, caught by `decodeTraces`; nobody else sees it. */
export class MalformedError extends Error {
  override readonly name = 'MalformedError'
}

/** A span while it is read. */
export type SpanDraft = { -readonly [K in keyof StoredSpan]: StoredSpan[K] }

/** Counts down what one request may still make of its bytes: two bytes can become an object of a hundred. */
export interface Budget {
  messages: number
  spans: number
}
export const MAX_DEPTH = 64

const KINDS: readonly SpanKindName[] = ['internal', 'internal', 'server', 'client', 'producer', 'consumer']
const STATUSES: readonly StatusName[] = ['unset', 'ok', 'error']

/** Fresh limits for one request: many times what an exporter sends in one batch. */
export function newBudget(): Budget {
  return { messages: 2_000_000, spans: 50_000 }
}

/** Pays for one message, or throws: the request is bigger than it looks. */
export function spend(budget: Budget, what: 'messages' | 'spans'): void {
  if (--budget[what] < 0) throw new MalformedError(`too many ${what} in one request`)
}

/** The name of OTLP's number; one that is not known is 'internal', as 0 is. */
export function kindName(code: number): SpanKindName {
  return KINDS[code] ?? 'internal'
}

/** The name of OTLP's number; one that is not known is 'unset'. */
export function statusName(code: number): StatusName {
  return STATUSES[code] ?? 'unset'
}

/** Nanoseconds as the nearest milliseconds that a double holds: today's dates keep a quarter of a microsecond. */
export function millis(nanos: bigint): number {
  return Number(nanos / 1_000_000n) + Number(nanos % 1_000_000n) / 1e6
}

/** A number where it is exact, else the bigint. */
export function integer(value: bigint): number | bigint {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value
}

/** A draft with nothing in it but where it came from. */
export function newDraft(from: Pick<StoredSpan, 'resource' | 'scope'>): SpanDraft {
  return {
    traceId: '',
    spanId: '',
    name: '',
    kind: 'internal',
    startMs: 0,
    endMs: 0,
    attributes: {},
    events: [],
    links: [],
    status: { code: 'unset' },
    resource: from.resource,
    scope: from.scope,
    flags: 0,
  }
}

/** The finished span. Throws for ids that OTLP calls invalid; a parent of zeros is no parent. */
export function finished(draft: SpanDraft): StoredSpan {
  if (!isId(draft.traceId, 32)) throw new MalformedError(`invalid trace id ${quoted(draft.traceId)}`)
  if (!isId(draft.spanId, 16)) throw new MalformedError(`invalid span id ${quoted(draft.spanId)}`)
  if (draft.parentSpanId !== undefined && !isId(draft.parentSpanId, 16)) {
    if (!/^(0{16})?$/.test(draft.parentSpanId))
      throw new MalformedError(`invalid parent span id ${quoted(draft.parentSpanId)}`)
    delete draft.parentSpanId
  }
  for (const link of draft.links) {
    if (link.traceId !== '' && !/^[0-9a-f]{32}$/.test(link.traceId))
      throw new MalformedError(`invalid trace id ${quoted(link.traceId)} in a link`)
    if (link.spanId !== '' && !/^[0-9a-f]{16}$/.test(link.spanId))
      throw new MalformedError(`invalid span id ${quoted(link.spanId)} in a link`)
  }
  return draft
}

function isId(id: string, length: number): boolean {
  return id.length === length && /^[0-9a-f]+$/.test(id) && !/^0+$/.test(id)
}

function quoted(id: string): string {
  return JSON.stringify(id.length > 40 ? `${id.slice(0, 40)}…` : id)
}
