// New clients of node-redis for the control experiment, made as those of the app.
import { CONTROL_MS } from './control-deadline.ts'
import type { Fresh } from './redis-control.ts'
import type { NodeRedisClient } from './node-redis-client.ts'

interface Duplicate extends NodeRedisClient {
  connect(): Promise<unknown>
  destroy(): void
  on(event: 'error', listener: () => void): unknown
}

/** Whoever watches clients being made can tell those. */
export class FreshNodeClients {
  isMaking = false

  /** As the app's own, but that it tries once, and keeps no cache that is the app's. */
  make(client: NodeRedisClient): Fresh {
    this.isMaking = true
    try {
      const made = client.duplicate?.({
        socket: { ...client.options?.socket, connectTimeout: CONTROL_MS, reconnectStrategy: false },
        clientSideCache: undefined,
        pingInterval: undefined,
      }) as Duplicate | undefined
      if (!made) throw new Error('this client cannot be made again')
      return {
        connect: () => made.connect(),
        set: (key, value, unit, ttlMs) => made.sendCommand(['SET', key, value, unit, String(ttlMs)]),
        del: (key) => made.sendCommand(['DEL', key]),
        disconnect: () => {
          if (made.isOpen) made.destroy()
        },
        on: (event, listener) => made.on(event, listener),
      }
    } finally {
      this.isMaking = false
    }
  }
}
