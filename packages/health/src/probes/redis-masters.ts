// A cluster is as well as its sickest master: each one that has slots is asked for itself.
import type { ProbeResult } from '@afterspan/core/internal'
import { untilAborted } from '../until-aborted.ts'
import {
  judgeTrip,
  roundTrip,
  sick,
  type Observed,
  type RedisDoor,
  type RedisServer,
  type Trip,
} from './redis-round-trip.ts'

/** At most one round trip in flight for each master: a frozen one is not asked again until it has answered. */
export class RedisMasters {
  readonly #inFlight = new Map<string, Promise<Trip>>()

  /** `keys` has one key for each master, by the master's name. What does not answer before the signal is late. */
  async check(
    door: RedisDoor,
    keys: ReadonlyMap<string, string>,
    server: RedisServer,
    given: { readonly signal: AbortSignal; readonly observed: Observed; readonly anotherIsWritable: () => boolean },
  ): Promise<ProbeResult> {
    const trips = await Promise.all(
      [...keys].map(([master, key]) => untilAborted(this.#trip(door, master, key), given.signal)),
    )
    const answered = trips.filter((trip) => trip !== 'late')
    const observed: Observed = {
      ...given.observed,
      masters: { value: trips.length, unit: 'count' },
      mastersAnswered: { value: answered.length, unit: 'count' },
    }
    const results = answered.map((trip) => judgeTrip(trip, server, { ...given, observed, mayBeBehind: true }))
    const bad = results.find(({ status }) => status === 'fail')
    if (bad) return bad
    if (answered.length < trips.length)
      return sick('timeout', `${trips.length - answered.length} of ${trips.length} masters did not answer`, observed)
    return results.find(({ status }) => status !== 'pass') ?? results[0] ?? { status: 'pass', observed }
  }

  #trip(door: RedisDoor, master: string, key: string): Promise<Trip> {
    const known = this.#inFlight.get(master)
    if (known) return known
    const trip = roundTrip(door, key).finally(() => {
      this.#inFlight.delete(master)
    })
    this.#inFlight.set(master, trip)
    return trip
  }
}
