// What a stream said to a message that it did not take. A round trip says nothing of it: a full server answers each.

/** Resources of the server or the account, in memory and in storage; no room in the stream, or on its disk. */
const FULL = new Set([10002, 10023, 10028, 10047])
const STORE_FAILED = 10077
/** One message for each subject, or so: what an app may have meant. */
const OF_SUBJECT = /per subject/i

interface ApiError {
  readonly code?: number
  readonly err_code?: number
  readonly description?: string
}

/** Undefined: it was the message. */
export function publishRefusal(error: unknown): string | undefined {
  const api = apiError(error)
  if (api) {
    const isFull = api.err_code === STORE_FAILED && !OF_SUBJECT.test(api.description ?? '')
    if (isFull || FULL.has(api.err_code ?? 0)) return 'storage_full'
    return api.code === 503 && api.err_code !== STORE_FAILED ? 'jetstream_unavailable' : undefined
  }
  const { code, name, message } = (error ?? {}) as { code?: unknown; name?: unknown; message?: unknown }
  const words = `${String(code)} ${String(name)} ${String(message)}`
  if (code === '503' || name === 'JetStreamNotEnabled') return 'stream_gone'
  if (/permission/i.test(words)) return 'no_permission'
  return /timeout/i.test(words) ? 'confirms_overdue' : undefined
}

/** As nats 2 has it, and the newer packages. */
function apiError(error: unknown): ApiError | undefined {
  const { api_error: of2, apiError: of3 } = (error ?? {}) as { api_error?: ApiError; apiError?: () => ApiError }
  return of2 ?? (typeof of3 === 'function' ? of3.call(error) : undefined)
}

export function isNoResponders(error: unknown): boolean {
  const { code, isNoResponders: ask } = (error ?? {}) as { code?: unknown; isNoResponders?: () => boolean }
  return code === '503' || (typeof ask === 'function' && ask.call(error))
}
