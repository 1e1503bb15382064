/** Comes before the deadline of a check does, for one that then still finds the thing well: what is well at the deadline itself counts as late. */
export function beforeDeadline(signal: AbortSignal, timeoutMs: number): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(timeoutMs * 0.8)])
}

/** What the work comes to, or 'late' when the signal comes first; then what comes later is nobody's, a rejection too. Leaves nothing on the signal. */
export function untilAborted<T>(work: PromiseLike<T>, signal: AbortSignal): Promise<T | 'late'> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => resolve('late')
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
    const letGo = (): void => signal.removeEventListener('abort', onAbort)
    work.then(
      (value) => {
        letGo()
        resolve(value)
      },
      (error: unknown) => {
        letGo()
        reject(error as Error)
      },
    )
  })
}
