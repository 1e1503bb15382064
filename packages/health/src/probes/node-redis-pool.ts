import type { ProbeResult } from '@afterspan/core/internal'
import { untilAborted } from '../until-aborted.ts'
import { doorOf, type NodeRedisClient } from './node-redis-client.ts'
import { judgeTrip, roundTrip, sick, type Observed, type RedisServer, type Trip } from './redis-round-trip.ts'

type Given = { readonly signal: AbortSignal; readonly observed: Observed; readonly anotherIsWritable: () => boolean }
/** A turn that came when nobody waited for it any more: nothing was sent. */
type Turn = Trip | { readonly kind: 'unwanted' }

/** A pool of node-redis has no way to give a place in its queue up: so the probe has at most one, and uses the one that it has. */
export class NodeRedisPool {
  #turn: Promise<Turn> | undefined
  #hasClient = false
  #signal = AbortSignal.abort()

  /** One client of the pool, for one round trip. */
  async check(pool: NodeRedisClient, key: string, server: RedisServer, given: Given): Promise<ProbeResult> {
    this.#signal = given.signal
    const observed: Observed = { ...given.observed, ...counters(pool) }
    let turn = await untilAborted(this.#next(pool, key), given.signal)
    if (turn !== 'late' && turn.kind === 'unwanted') turn = await untilAborted(this.#next(pool, key), given.signal)
    if (turn === 'late')
      return this.#hasClient ? sick('timeout', 'the server did not answer', observed) : withoutClient(pool, observed)
    if (turn.kind === 'unwanted') return sick('timeout', 'no turn within the deadline', observed)
    if (turn.kind === 'refused' && /waiting for a client/i.test(String(turn.error)))
      return withoutClient(pool, observed)
    return judgeTrip(turn, server, { ...given, observed, mayBeBehind: false })
  }

  #next(pool: NodeRedisClient, key: string): Promise<Turn> {
    this.#turn ??= this.#take(pool, key).finally(() => {
      this.#turn = undefined
      this.#hasClient = false
    })
    return this.#turn
  }

  async #take(pool: NodeRedisClient, key: string): Promise<Turn> {
    try {
      return await pool.execute!(async (client): Promise<Turn> => {
        if (this.#signal.aborted) return { kind: 'unwanted' }
        if (client.isReady === false) throw new Error("the client of the pool isn't ready")
        this.#hasClient = true
        return roundTrip(doorOf(client, 'client'), key)
      })
    } catch (error) {
      return { kind: 'refused', error, isReadable: false, wasWritten: false }
    }
  }
}

function withoutClient(pool: NodeRedisClient, observed: Observed): ProbeResult {
  const { clientsInUse = 0, idleClients = 0, tasksQueueLength = 0 } = pool
  if (idleClients > 0 || clientsInUse === 0) return sick('timeout', 'no client within the deadline', observed)
  return {
    ...sick(
      'pool_exhausted',
      `no client became free within the deadline: ${clientsInUse} are busy, ${tasksQueueLength} wait`,
      observed,
    ),
    cause: 'self_recoverable',
  }
}

function counters({ clientsInUse = 0, idleClients = 0, tasksQueueLength = 0 }: NodeRedisClient): Observed {
  return {
    inUse: { value: clientsInUse, unit: 'count' },
    idle: { value: idleClients, unit: 'count' },
    waiting: { value: tasksQueueLength, unit: 'count' },
  }
}
