import type { MetricFamily } from '../contracts/service.ts'

const MAIN_ANSWERS_WITHIN_MS = 1_000

/** The families of this process, or of the whole group. */
export interface Collected {
  readonly families: readonly MetricFamily[]
  /** How old those of the main thread are, where it did not answer. */
  readonly staleMs: number
  /** False: the main thread has never answered, so that its families are missing. */
  readonly isComplete: boolean
}

/** `main` asks the thread that holds the app's meters; where it does not answer within a second, what it said last is taken. */
export function createCollector(
  main: () => Promise<readonly MetricFamily[]>,
  beside: () => Promise<readonly MetricFamily[]>,
): () => Promise<Collected> {
  let last: { readonly families: readonly MetricFamily[]; readonly at: number } | undefined
  return single(async () => {
    const fresh = await within(main(), MAIN_ANSWERS_WITHIN_MS)
    if (fresh) last = { families: fresh, at: performance.now() }
    const more = await beside()
    return {
      families: [...(last?.families ?? []), ...more],
      staleMs: fresh || !last ? 0 : performance.now() - last.at,
      isComplete: last !== undefined,
    }
  })
}

/** Questions that come together have one answer. */
export function single<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined
  return () =>
    (running ??= work().finally(() => {
      running = undefined
    }))
}

function within<T>(work: Promise<T>, ms: number): Promise<T | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      resolve(undefined)
    }, ms)
    timer.unref()
    work
      .then(resolve, () => {
        resolve(undefined)
      })
      .finally(() => {
        clearTimeout(timer)
      })
  })
}
