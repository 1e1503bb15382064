// While a session of the inspector is open, Node prints a line of its own when the process exits. So main and side thread share one
// number: who leaves says so, and waits the few milliseconds until the session is closed.
const FREE = 0
const OPEN = 1
const LEAVING = 2
const LEAVE_MS = 100
/** The other thread's word of the end of the session reaches V8 by an interrupt. */
const SETTLE_MS = 5

export function createInspectorGate(): SharedArrayBuffer {
  return new SharedArrayBuffer(4)
}

/** The side thread's half. */
export interface SideGate {
  /** False once the process is leaving: then no session may be opened. */
  open(): boolean
  isLeaving(): boolean
  close(): void
}

export function sideGate(shared: SharedArrayBuffer): SideGate {
  const cell = new Int32Array(shared)
  return {
    open: () => Atomics.compareExchange(cell, 0, FREE, OPEN) === FREE,
    isLeaving: () => Atomics.load(cell, 0) === LEAVING,
    close() {
      // Once the process is leaving the number stays: only the wait for it ends.
      if (Atomics.compareExchange(cell, 0, OPEN, FREE) !== OPEN) Atomics.notify(cell, 0)
    },
  }
}

/** The main thread's half, at its exit: no session is opened from now on, and one that is open is closed first. */
export function leaveThroughGate(shared: SharedArrayBuffer): void {
  const cell = new Int32Array(shared)
  if (Atomics.exchange(cell, 0, LEAVING) !== OPEN) return
  Atomics.wait(cell, 0, LEAVING, LEAVE_MS)
  const until = performance.now() + SETTLE_MS
  while (performance.now() < until);
}
