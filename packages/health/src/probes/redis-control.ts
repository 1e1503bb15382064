// The new client that those of Redis are compared with, and what makes it.
import type { ProbeResult } from '@afterspan/core/internal'
import { within } from '../within.ts'
import { CONTROL_MS } from './control-deadline.ts'
import type { RedisClient } from './redis-client.ts'

/** Made and not yet connected. */
export interface Fresh {
  connect(): Promise<unknown>
  del(key: string): Promise<unknown>
  disconnect(): void
  on(event: 'error', listener: () => void): unknown
  set(key: string, value: string, unit: 'PX', ttlMs: number): Promise<unknown>
}

const TTL_MS = 1000

/** Nothing comes from the clients: what a server says, it would say to a new one. */
export function isSilent({ status, code, observed }: ProbeResult): boolean {
  return status === 'fail' && (code === 'timeout' || observed?.['ready']?.value === 0)
}

/** A client of its own, made as that of the app, asked to write once, and ended whatever happens. */
export async function experiment(make: () => Fresh, key: string): Promise<void> {
  const fresh = make()
  fresh.on('error', () => {})
  const answer = (async (): Promise<void> => {
    await fresh.connect()
    await fresh.set(key, 'control', 'PX', TTL_MS)
    await fresh.del(key)
  })()
  try {
    await within(answer, CONTROL_MS)
  } finally {
    fresh.disconnect()
  }
}

/** Makes clients for the experiment: whoever watches clients being made can tell those. */
export class FreshClients {
  isMaking = false

  /** As the app's own, but that it tries once. */
  make(client: RedisClient): Fresh {
    this.isMaking = true
    try {
      const given = {
        lazyConnect: true,
        connectTimeout: CONTROL_MS,
        maxRetriesPerRequest: 0,
        retryStrategy: () => null,
      }
      const fresh = client.duplicate?.(given) as Fresh | undefined
      if (!fresh) throw new Error('this client cannot be made again')
      return fresh
    } finally {
      this.isMaking = false
    }
  }
}
