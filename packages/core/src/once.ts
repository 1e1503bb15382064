/** Runs at the first call, and gives what came of that from then on. What throws is not tried again. */
export function once<T>(make: () => T): () => T {
  let isMade = false
  let made: T
  return () => {
    if (!isMade) {
      isMade = true
      made = make()
    }
    return made
  }
}
