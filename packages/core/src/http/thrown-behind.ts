// What a handler throws behind its response goes to its framework, which has nobody to give it to any more: the request was answered,
// and what it did after that has failed.
import type { Open } from './open-request.ts'
import type { RequestRecord } from './request-record.ts'

type Teller = (record: RequestRecord, error: unknown) => void
let tell: Teller | undefined

/** Who tells of it, once there is somebody. */
export function onThrownBehind(teller: Teller): void {
  tell = teller
}

/** Nothing where the error is why it was answered so, or comes of a client that has left. The first one counts here, too. */
export function throwBehind({ record, error: first }: Open, error: unknown): void {
  if (first === undefined) failBehind(record, error)
}

/** The same where nobody but the console is given what was thrown. */
export function failBehind(record: RequestRecord, error: unknown): void {
  const status = record.ended ? record.status : record.response?.statusCode
  if (record.outcome !== undefined || status === undefined || status >= 400) return
  try {
    if (!isSecondAnswer(error)) tell?.(record, error)
  } catch {
    // nothing of ours is worth an error in a framework
  }
}

/** Where a `return` was forgotten, the handler answers twice: the client has the first answer, and no work has failed. */
function isSecondAnswer(error: unknown): boolean {
  return (error as { readonly code?: unknown } | null | undefined)?.code === 'ERR_HTTP_HEADERS_SENT'
}

/** Whether the app has said all that it has to say. */
export function isAnswered({ ended, response }: RequestRecord): boolean {
  return ended || response?.writableEnded === true
}
