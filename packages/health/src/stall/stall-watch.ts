import type { Clock } from '@afterspan/core/internal'
import type { MainStack } from './main-stack.ts'

const LOOK_MS = 250

/** One time that the main thread was silent. */
export interface Stall {
  readonly silentMs: number
  readonly stack?: MainStack
}

export interface StallWatch {
  /** The stall that goes on, or else the last one that was seen. */
  current(): Stall | undefined
  last(): (Stall & { readonly endedMsAgo: number }) | undefined
  stop(): void
}

/** Looks whether the main thread is silent, and takes its stack once in each stall. `onEnd` hears of each when it is over. */
export function watchStalls(given: {
  readonly clock: Pick<Clock, 'monotonicMs' | 'every'>
  readonly mainSilentMs: () => number
  readonly takeStack: () => Promise<MainStack | undefined>
  readonly onEnd: (stall: Stall) => void
}): StallWatch {
  const { clock, mainSilentMs, takeStack, onEnd } = given
  let going: { silentMs: number; stack?: MainStack } | undefined
  let last: { stall: Stall; at: number } | undefined
  const look = async (): Promise<void> => {
    const silentMs = mainSilentMs()
    if (silentMs > 0) {
      const isNew = !going
      const stall = (going ??= { silentMs })
      stall.silentMs = Math.max(stall.silentMs, silentMs)
      const stack = isNew ? await takeStack() : undefined
      if (stack) stall.stack = stack
    } else if (going) {
      last = { stall: going, at: clock.monotonicMs() }
      going = undefined
      onEnd(last.stall)
    }
  }
  const stop = clock.every(LOOK_MS, look)
  return {
    current() {
      const silentMs = mainSilentMs()
      return silentMs > 0 ? { ...going, silentMs } : undefined
    },
    last: () => last && { ...last.stall, endedMsAgo: clock.monotonicMs() - last.at },
    stop,
  }
}
