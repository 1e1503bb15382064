import type { AdminReply } from '@afterspan/core/internal'
import { CONTENT_TYPES, type Format } from './render.ts'

/** A reply that is made once. Its body is text: Node sends that in one piece with the head, and a buffer in two. */
export function reply(status: number, format: Format, body: string): AdminReply {
  return {
    status,
    headers: { 'content-type': CONTENT_TYPES[format], 'cache-control': 'no-store' },
    body,
  }
}
