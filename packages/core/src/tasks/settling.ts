let isInside = false

/**
 * Runs `tell` while a promise is being settled: whatever it publishes is known before anybody goes on from that promise, if it is
 * written by the end of the microtask that is queued next. What settles at the same time is then written together.
 */
export function whileSettling(tell: () => void): void {
  isInside = true
  try {
    tell()
  } finally {
    isInside = false
  }
}

/** Whether what is published now may wait for the next microtask. */
export function isSettling(): boolean {
  return isInside
}
