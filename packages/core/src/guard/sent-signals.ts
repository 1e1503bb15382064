// Who is ended by this process: process.kill() is replaced once, by signals.ts, and others want to hear of it too.
type Listener = (pid: number) => void
const listeners = new Set<Listener>()

/** Hears the process, or the group of processes, to which this thread is about to send a signal. */
export function onSignalSent(listener: Listener): () => void {
  listeners.add(listener)
  return () => void listeners.delete(listener)
}

/** Of what `process.kill` was called with; 0 only asks whether there is somebody. */
export function tellSignal(pid: unknown, signal: unknown): void {
  if (typeof pid !== 'number' || signal === 0) return
  for (const listener of listeners) listener(pid)
}
