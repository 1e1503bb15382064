// An export request that its collector finds too large goes in parts. Those of the three signals are alike: resources (field 1), in
// each its scopes (2), in each its spans, metrics or log records (2).
import { fields } from './protobuf-fields.ts'
import type { OtlpReply } from './reply.ts'
import type { OtlpSettings } from './settings.ts'
import { SizeLimit, TOO_LARGE } from './size-limit.ts'
import { ABOUT_CONTENT } from './transport.ts'

const RESOURCES = 1
const WITHIN = 2

/**
 * Sends it whole, and where it is too large in halves, down to one item. Ok with `rejected`: so many were too large alone, or refused
 * for what they are. Another refusal on the way is that of the whole, with what is left of it: who cannot keep that sends all of it
 * again, and what was taken by then comes twice. Never rejects.
 */
export async function postInParts(
  post: (settings: OtlpSettings, request: Uint8Array) => Promise<OtlpReply>,
  settings: OtlpSettings,
  request: Uint8Array,
): Promise<PartsReply> {
  const whole = await post(settings, request)
  if (!TOO_LARGE.has(whole.reason)) return whole
  const items = countItems(request)
  const sizes = new SizeLimit(settings)
  sizes.refused([request])
  const waiting: Part[] = []
  divide({ from: 0, to: items }, waiting)
  let rejected = 0
  for (let part = waiting.pop(); part; part = waiting.pop()) {
    const body = itemsOf(request, part)
    const isAsked = !sizes.isBeyond([body])
    const reply = isAsked ? await post(settings, body) : whole
    if (reply.ok) rejected += reply.rejected ?? 0
    else if (!ABOUT_CONTENT.has(reply.reason)) return { ...reply, ...restOf(request, items, part.from, rejected) }
    else {
      if (TOO_LARGE.has(reply.reason)) {
        if (isAsked) sizes.refused([body])
        if (divide(part, waiting)) continue
      }
      rejected += part.to - part.from
    }
  }
  if (rejected >= items) return whole
  return { ok: true, retryable: false, reason: 'ok', ...(rejected > 0 ? { rejected, message: whole.reason } : {}) }
}

/** Of one that failed on the way: what has not been settled by then. */
export interface PartsReply extends OtlpReply {
  readonly rest?: { readonly request: Uint8Array; readonly items: number }
}

function restOf(request: Uint8Array, items: number, from: number, rejected: number): Partial<PartsReply> {
  return from === 0 ? {} : { rejected, rest: { request: itemsOf(request, { from, to: items }), items: items - from } }
}

/** By their number in the request. */
interface Part {
  readonly from: number
  readonly to: number
}

/** False: it is one item, or none. */
function divide({ from, to }: Part, into: Part[]): boolean {
  if (to - from < 2) return false
  const middle = (from + to) >> 1
  into.push({ from: middle, to }, { from, to: middle })
  return true
}

/** 0 for what is no such request. */
function countItems(request: Uint8Array): number {
  const counter = { number: 0 }
  try {
    itemsOf(request, { from: 0, to: Infinity }, counter)
    return counter.number
  } catch {
    return 0
  }
}

function itemsOf(request: Uint8Array, { from, to }: Part, at = { number: 0 }): Buffer {
  const keepItems = (scope: Buffer): Buffer | undefined =>
    rebuilt(scope, WITHIN, (item) => {
      const number = at.number++
      return number >= from && number < to ? item : undefined
    })
  const keepScopes = (resource: Buffer): Buffer | undefined => rebuilt(resource, WITHIN, keepItems)
  return rebuilt(asBuffer(request), RESOURCES, keepScopes) ?? Buffer.alloc(0)
}

/** A message of fields that all have a length, with what `keep` makes of those with this number; undefined where it keeps none. */
function rebuilt(message: Buffer, number: number, keep: (value: Buffer) => Buffer | undefined): Buffer | undefined {
  const pieces: Buffer[] = []
  let kept = 0
  for (const field of fields(message)) {
    if (!Buffer.isBuffer(field.value)) continue
    const value = field.number === number ? keep(field.value) : field.value
    if (!value) continue
    if (field.number === number) kept++
    pieces.push(head(field.number, value.length), value)
  }
  return kept > 0 ? Buffer.concat(pieces) : undefined
}

/** Tag and length. */
function head(number: number, length: number): Buffer {
  const bytes = [(number << 3) | 2]
  let rest = length
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest & 127) | 128)
  bytes.push(rest)
  return Buffer.from(bytes)
}

function asBuffer({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length)
}
