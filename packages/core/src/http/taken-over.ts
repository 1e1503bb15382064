import { inFlight } from './in-flight.ts'
import { Open } from './open-request.ts'

const LOOK_MS = 10_000
/** A response that has its socket still ends in the turn after the socket is gone. */
const GRACE_MS = 100

/**
 * Ends requests whose response will never say that it has ended: the app has taken the socket from it (`detachSocket`) and the socket
 * is gone. What was answered there nobody saw: no status, and no error. What is returned looks once; it is done now and then.
 */
export function watchTakenOver(now: () => number): () => void {
  const goneSince = new WeakMap<Open, number>()
  const look = (): void => {
    for (const open of inFlight) {
      if (!(open instanceof Open) || open.request.socket?.destroyed !== true) continue
      const since = goneSince.get(open)
      if (since === undefined) goneSince.set(open, now())
      else if (now() - since >= GRACE_MS) open.settle(open, 'sent', undefined)
    }
  }
  setInterval(look, LOOK_MS).unref()
  return look
}
