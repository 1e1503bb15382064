import { readlinkSync } from 'node:fs'
import { getPriority, setPriority } from 'node:os'

/** A few steps: where the processor is scarce the app's threads get three turns for one of ours, and ours is never starved. */
const NICENESS = 5

/** Gives this thread, and on Linux it alone, a lower priority than the app's. Elsewhere a priority is the whole process's, and stays. */
export function yieldToApp(): void {
  try {
    const thread = Number(/\/task\/(\d+)$/.exec(readlinkSync('/proc/thread-self'))?.[1])
    if (thread > 0 && thread !== process.pid) setPriority(thread, Math.min(19, getPriority(thread) + NICENESS))
  } catch {
    // no /proc, or not allowed: it runs as it is
  }
}
