/** What hears how a promise ended; `error`: that it was rejected. */
export interface Ending {
  settle(error: unknown, answer: unknown): void
}

/** The promise that is given back is the one that is followed: a branch would make a rejection look handled. What is no promise is given back as it is. */
export function followPromise(result: unknown, ending: Ending): unknown {
  if (typeof (result as PromiseLike<unknown> | undefined)?.then !== 'function') return result
  return (result as PromiseLike<unknown>).then(
    (answer) => {
      ending.settle(undefined, answer)
      return answer
    },
    (error: unknown) => {
      ending.settle(error ?? new Error('rejected'), undefined)
      throw error
    },
  )
}
