/** The names that Node has for the two. */
export type Abort = 'AbortError' | 'TimeoutError'

interface Said {
  readonly name?: unknown
  readonly code?: unknown
  readonly message?: unknown
  readonly cause?: { readonly name?: unknown } | null
  readonly config?: { readonly signal?: { readonly reason?: { readonly name?: unknown } } } | null
}

/** What an error says of an abort. Node calls an AbortSignal.timeout() that has run out an abort, too, and so does axios, which has a name of its own for both. */
export function abortOf(error: unknown): Abort | undefined {
  try {
    const { name, code, message, cause, config } = (error ?? {}) as Said
    if (name === 'AbortError') return cause?.name === 'TimeoutError' ? 'TimeoutError' : 'AbortError'
    if (name !== 'CanceledError' || code !== 'ERR_CANCELED') return undefined
    const isLate = config?.signal?.reason?.name === 'TimeoutError' || message === OUT_OF_TIME
    return isLate ? 'TimeoutError' : 'AbortError'
  } catch {
    return undefined
  }
}

/** As Node says it; axios gives but the words on to fetch. */
export const OUT_OF_TIME = 'The operation was aborted due to timeout'

/** An abort is somebody's wish, not a failure; that time has run out is one. */
export function isAbort(error: unknown): boolean {
  return abortOf(error) === 'AbortError'
}
