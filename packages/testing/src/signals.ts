export interface Deferred<T> {
  readonly promise: Promise<T>
  readonly reject: (cause: unknown) => void
  readonly resolve: (value: T) => void
}

/** A promise that the test itself settles. */
export function deferred<T = void>(): Deferred<T> {
  return Promise.withResolvers<T>()
}

export interface TestSignal<T> {
  emit(value: T): void
  /** The next value, each once and in order, also one emitted earlier; rejects at the deadline. */
  next(timeoutMs?: number): Promise<T>
}

/** Lets a test await what happens inside the code under test, instead of sleeping until it probably has. */
export function testSignal<T = void>(name: string): TestSignal<T> {
  const values: T[] = []
  const waiting: ((value: T) => void)[] = []
  return {
    emit(value) {
      const first = waiting.shift()
      if (first) first(value)
      else values.push(value)
    },
    next(timeoutMs = 5_000) {
      if (values.length > 0) return Promise.resolve(values.shift() as T)
      const { promise, resolve, reject } = deferred<T>()
      const deadline = setTimeout(() => {
        waiting.splice(waiting.indexOf(resolve), 1)
        reject(new Error(`${name} was not signalled within ${timeoutMs} ms`))
      }, timeoutMs)
      waiting.push(resolve)
      return promise.finally(() => clearTimeout(deadline))
    },
  }
}

export interface PollOptions {
  readonly timeoutMs?: number
  readonly intervalMs?: number
  /** What is waited for, for the message at the deadline. */
  readonly what?: string
}

/**
 * Asks again and again until the answer is neither undefined nor false, and returns it; rejects at the deadline with the last error.
 * Only for the state of other processes that can be asked but do not call (a page of theirs, a broker's queue).
 * What happens in this process has a signal or a promise; what a child prints has waitForLine.
 */
export async function pollUntil<T>(
  condition: () => Promise<T | undefined | false> | T | undefined | false,
  options: PollOptions = {},
): Promise<T> {
  const { timeoutMs = 10_000, intervalMs = 25, what = 'the condition' } = options
  const deadline = performance.now() + timeoutMs
  for (;;) {
    let cause: unknown
    try {
      const answer = await condition()
      if (answer !== undefined && answer !== false) return answer
    } catch (error) {
      cause = error
    }
    if (performance.now() >= deadline)
      throw new Error(`${what}: not within ${timeoutMs} ms`, cause === undefined ? {} : { cause })
    await new Promise((resolve) => setTimeout(resolve, intervalMs))
  }
}
