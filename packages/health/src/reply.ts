import type { AdminReply } from '@afterspan/core/internal'
import { CONTENT_TYPES, type Format } from './render.ts'

/** A reply whose bytes are made once. */
export function reply(status: number, format: Format, body: string): AdminReply {
  return {
    status,
    headers: { 'content-type': CONTENT_TYPES[format], 'cache-control': 'no-store' },
    body: Buffer.from(body),
  }
}
