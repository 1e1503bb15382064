import type { EventEmitter } from 'node:events'

/** A listener of ours is not to be the one too many, which Node warns of on the app's stderr. */
export function makeRoom(emitter: Pick<EventEmitter, 'getMaxListeners' | 'setMaxListeners'>): void {
  const most = emitter.getMaxListeners()
  if (most > 0) emitter.setMaxListeners(most + 1) // 0: any number
}
