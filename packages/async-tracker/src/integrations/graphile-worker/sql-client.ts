// What is used of pg, as it is from 8.0.3 on.
export interface Result {
  readonly rows?: readonly unknown[]
}
/** Of several statements in one text there are several. */
export type Answer = Result | readonly Result[] | undefined

interface Message {
  /** Of commandComplete. */
  readonly text?: string
  /** Of readyForQuery: 'I' is idle, all else within a transaction. */
  readonly status?: string
}
export interface PgClient {
  /** Not there in the native one. */
  readonly connection?: {
    prependListener?(event: string, listener: (message?: Message) => void): unknown
  }
  query(...args: unknown[]): unknown
}

export function textOf(asked: unknown): string {
  const text = typeof asked === 'string' ? asked : (asked as { readonly text?: unknown } | null | undefined)?.text
  return typeof text === 'string' ? text : ''
}

export function valuesOf([asked, values]: readonly unknown[]): readonly unknown[] {
  if (Array.isArray(values)) return values
  const own = (asked as { readonly values?: unknown } | null | undefined)?.values
  return Array.isArray(own) ? own : []
}

/** `heard` hears of an answer before the app does. What is asked by an object of its own (a cursor) is left alone. */
export function ask(query: () => unknown, args: unknown[], heard: (answer: Answer) => void): unknown {
  const hear = (answer: Answer): void => {
    try {
      heard(answer)
    } catch {
      // rows of the app's own making: then its jobs are nobody's
    }
  }
  const at = args.findIndex((arg, i) => i > 0 && typeof arg === 'function')
  if (at > 0) {
    const callback = args[at] as (...given: unknown[]) => unknown
    args[at] = function (this: unknown, ...given: unknown[]) {
      if (!given[0]) hear(given[1] as Answer)
      return callback.apply(this, given)
    }
    return query()
  }
  const result = query()
  if (!(result instanceof Promise)) return result
  // Given back is the promise that is followed: a branch would make a rejection look handled.
  return result.then((answer: Answer) => {
    hear(answer)
    return answer
  })
}

export function resultsOf(answer: Answer): readonly Result[] {
  return Array.isArray(answer) ? (answer as readonly Result[]) : answer ? [answer as Result] : []
}
