import type { SpanObserver } from '../sdk/span-observers.ts'

/** Whether this process has anything that is lost when it dies: a port that it listens on, a request, a span. A script has nothing yet. */
export interface Stake extends SpanObserver {
  /** There is something from now on. */
  has(): void
  /** Called once: now, where there is something already. */
  onFirst(listener: () => void): void
}

export function createStake(): Stake {
  const listeners: (() => void)[] = []
  let isThere = false
  const has = (): void => {
    if (isThere) return
    isThere = true
    for (const listener of listeners) listener()
  }
  return {
    has,
    onFirst(listener) {
      if (isThere) listener()
      else listeners.push(listener)
    },
    onStart: has,
    onEnd() {},
  }
}
