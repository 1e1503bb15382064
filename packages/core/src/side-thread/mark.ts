// Asked by the preload guard too, before anything is loaded: it must run on any Node.
import { workerData } from 'node:worker_threads'

/** In the data of each worker thread of ours. */
export const SIDE_THREAD_MARK = 'afterspan.side-thread'

export function isSideThread(): boolean {
  const data = workerData as Record<string, unknown> | null
  return data !== null && typeof data === 'object' && data[SIDE_THREAD_MARK] === true
}
