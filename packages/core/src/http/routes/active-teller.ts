// Of the request whose code runs: for what serves a `Request` of fetch, and never sees Node's own object.
import { hideOwnFrames } from '../../instrument/hidden-frames.ts'
import { activeInFlight } from '../in-flight.ts'
import { activeRequest } from '../request-record.ts'

export function recordActiveError(error: unknown): void {
  hideOwnFrames(error)
  activeInFlight()?.hasThrown(error)
}

/** While the body was written: the status says nothing of it. */
export function recordActiveBroken(error: unknown): void {
  hideOwnFrames(error)
  activeInFlight()?.hasBroken(error)
}

/** The last one counts: middleware, and routers that others are mounted on, come before. */
export function setActiveRoute(route: string): void {
  const request = activeRequest()
  if (request && !request.ended) request.toldRoute = route
}
