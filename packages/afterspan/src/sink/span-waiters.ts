import { drawTrace } from './trace-text.ts'
import type { StoredSpan } from './stored-span.ts'

/** Those who wait for spans: asked again whenever some arrive, never by a clock. */
export interface SpanWaiters {
  /** Resolves once the predicate holds, at once if it does already; rejects after the time, or when the sink closes, with a drawing of what is there. */
  wait(predicate: (spans: readonly StoredSpan[]) => boolean, timeoutMs: number): Promise<void>
  /** To be called after spans have been stored. */
  arrived(): void
  close(): void
}

const MAX_DRAWING = 4_000

/** `spans` is what the predicates look at. */
export function createSpanWaiters(spans: () => readonly StoredSpan[]): SpanWaiters {
  const waiting = new Set<{ ask(): void; fail(error: Error): void }>()

  function wait(predicate: (spans: readonly StoredSpan[]) => boolean, timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter = {
        ask: () => {
          try {
            if (predicate(spans())) settle(resolve)
          } catch (error) {
            waiter.fail(error instanceof Error ? error : new Error(String(error)))
          }
        },
        fail: (error: Error) => {
          settle(() => {
            reject(error)
          })
        },
      }
      const timer = setTimeout(() => {
        waiter.fail(new Error(`not within ${timeoutMs} ms. ${describe(spans())}`))
      }, timeoutMs)
      timer.unref()
      const settle = (then: () => void): void => {
        clearTimeout(timer)
        waiting.delete(waiter)
        then()
      }
      waiting.add(waiter)
      waiter.ask()
    })
  }

  return {
    wait,
    arrived() {
      for (const waiter of waiting) waiter.ask()
    },
    close() {
      for (const waiter of waiting) waiter.fail(new Error(`the sink was closed. ${describe(spans())}`))
    },
  }
}

function describe(spans: readonly StoredSpan[]): string {
  if (spans.length === 0) return 'No span has arrived.'
  const drawing = drawTrace(spans)
  return `These spans have arrived:\n${drawing.length > MAX_DRAWING ? `${drawing.slice(0, MAX_DRAWING)}…` : drawing}`
}
