// Would a restart help? Clients of ioredis that have given nothing for long are compared with a new one, made as theirs: only where that
// works, and has for as long, is the fault this process's. A client that waits for its next try has had that time too.
import type { ProbeResult } from '@afterspan/core/internal'
import { within } from '../within.ts'
import type { RedisClient } from './redis-client.ts'

/** Made and not yet connected. */
export interface Fresh {
  connect(): Promise<unknown>
  del(key: string): Promise<unknown>
  disconnect(): void
  on(event: 'error', listener: () => void): unknown
  set(key: string, value: string, unit: 'PX', ttlMs: number): Promise<unknown>
}

export const CONTROL_MS = 2000
const LEAST_PAUSE_MS = 500
const TTL_MS = 1000
/** Experiments in a row that must agree, the first and the last of them as long apart as the clients must have been bad. */
const AGREE = 3

/** Follows the results of the clients of one server. */
export class RedisControl {
  readonly #now: () => number
  readonly #deadMs: number
  #agreed = 0
  #wellSince = 0
  #isRunning = false
  #lastAt = Number.NEGATIVE_INFINITY

  constructor(now: () => number, deadMs: number) {
    this.#now = now
    this.#deadMs = deadMs
  }

  /** The result, with what the experiments have shown so far. `experiment` rejects where a new client is no better. */
  judge(result: ProbeResult, experiment: () => Promise<unknown>): ProbeResult {
    if (!isSilent(result)) {
      this.#agreed = 0
      return result
    }
    const now = this.#now()
    const pauseMs = Math.max(LEAST_PAUSE_MS, this.#deadMs / 4)
    if (!this.#isRunning && now - this.#lastAt >= pauseMs) void this.#run(experiment, now)
    const wellMs = now - this.#wellSince
    if (this.#agreed < AGREE || wellMs < this.#deadMs) return result
    const reason = `a new client has been answered for ${Math.round(wellMs)} ms, and those of the app have not: ${result.reason}`
    return { ...result, cause: 'self_wedged', reason }
  }

  async #run(experiment: () => Promise<unknown>, startedAt: number): Promise<void> {
    this.#isRunning = true
    this.#lastAt = startedAt
    try {
      await experiment()
      if (this.#agreed++ === 0) this.#wellSince = startedAt
    } catch {
      this.#agreed = 0
    }
    this.#isRunning = false
  }
}

/** Nothing comes from the clients: what a server says, it would say to a new one. */
function isSilent({ status, code, observed }: ProbeResult): boolean {
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
