/** One of several, which come all the same. An end is not the moment for an error of ours: it would be the app's exit code. */
export function attempt(work: () => void, onError: (error: unknown) => void = () => {}): void {
  try {
    work()
  } catch (error) {
    onError(error)
  }
}
