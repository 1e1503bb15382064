import type { AttemptInfo, Carrier, TaskKit } from '@afterspan/core/internal'

/** An attempt that is held open until it is known how it ended. Each of the three ends it; what comes after is nothing. */
export interface Held {
  readonly info: AttemptInfo
  readonly ended: Promise<void>
  isOpen: boolean
  succeed(): void
  fail(error: unknown): void
  /** It goes back without a result. */
  giveBack(): void
}

export function hold(info: AttemptInfo): Held {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let isGivenBack = false
  const held: Held = {
    info: { ...info, outcomeOf: (error) => (isGivenBack ? 'released' : info.outcomeOf?.(error)) },
    ended: promise,
    isOpen: true,
    succeed() {
      held.isOpen = false
      resolve()
    },
    fail(error) {
      held.isOpen = false
      reject(error)
    },
    giveBack() {
      if (held.isOpen) isGivenBack = true
      held.isOpen = false
      reject(new Error('given back'))
    },
  }
  return held
}

/** Starts it; `inside` runs in its context. */
export function begin(kit: TaskKit, { info, ended }: Held, carrier: Carrier, inside?: () => void): void {
  const told = kit.attempt(info, carrier, () => {
    inside?.()
    return ended
  })
  told.catch(() => {})
}
