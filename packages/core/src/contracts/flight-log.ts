import type { RequestReceived } from './task.ts'

/** Where requests are noted while they are in flight, so that the death of the process leaves their names. Must not throw, and must be cheap: it is called twice for every request. */
export interface FlightLog {
  /** Returns what `close` takes; negative: not noted. When it returns, the note survives the process. */
  open(request: RequestReceived): number
  close(slot: number): void
  /** The same, where how the request ended is on disk already: the note may stand until that is taken away. */
  release(slot: number): void
}
