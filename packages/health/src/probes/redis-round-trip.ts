// What a Redis is asked, whichever client asks it, and how its answers are judged.
import { randomBytes } from 'node:crypto'
import type { ProbeResult } from '@afterspan/core/internal'
import { networkCode, publicCode } from '../codes.ts'
import { scrub } from '../scrub.ts'

/** The three commands, through a client of the app's. */
export interface RedisDoor {
  set(key: string, value: string, ttlMs: number): Promise<unknown>
  get(key: string): Promise<unknown>
  del(key: string): Promise<unknown>
}
export type Trip =
  | { readonly kind: 'well' }
  /** The connection is inside of a MULTI of the app's: nothing was tried, and nothing can be said. */
  | { readonly kind: 'queued' }
  | { readonly kind: 'mismatch' }
  | { readonly kind: 'refused'; readonly error: unknown; readonly isReadable: boolean; readonly wasWritten: boolean }

/** What is known of one server, or one cluster. */
export interface RedisServer {
  wasWritable: boolean
  /** Its name or the client's options say that it is there to be read. */
  readonly hint: boolean
}
export type Observed = NonNullable<ProbeResult['observed']>

const TTL_MS = 10_000

/** SET, GET and DEL of a random value in one go: PING is answered while every write is refused. Never rejects. */
export async function roundTrip(door: RedisDoor, key: string): Promise<Trip> {
  const value = randomBytes(8).toString('hex')
  const [set, get] = await Promise.allSettled([door.set(key, value, TTL_MS), door.get(key), door.del(key)])
  const isReadable = get.status === 'fulfilled'
  if (set.status === 'rejected') return { kind: 'refused', error: set.reason, isReadable, wasWritten: false }
  if (String(set.value) === 'QUEUED') return { kind: 'queued' }
  if (!isReadable) return { kind: 'refused', error: get.reason, isReadable, wasWritten: true }
  return { kind: String(get.value) === value ? 'well' : 'mismatch' }
}

/** How a trip ended, as a result of the probe; what it shows of the server is remembered in `server`. */
export function judgeTrip(
  trip: Trip,
  server: RedisServer,
  given: {
    readonly observed: Observed
    readonly anotherIsWritable: () => boolean
    /** In a cluster a replica may be read, which is behind. */
    readonly mayBeBehind: boolean
  },
): ProbeResult {
  const { observed } = given
  if (trip.kind === 'queued') return { status: 'pass', observed: { ...observed, checked: { value: 'status' } } }
  if (trip.kind !== 'refused' || trip.wasWritten) server.wasWritable = true
  if (trip.kind === 'refused') return refusal(trip, server, given)
  if (trip.kind === 'mismatch' && !given.mayBeBehind)
    return sick('round_trip_mismatch', 'what was written was not what was read', observed)
  return { status: 'pass', observed }
}

/** A fail that no restart of this process would mend. */
export function sick(code: string, reason: string, observed: Observed): ProbeResult {
  return { status: 'fail', code, cause: 'dependency', reason, observed }
}

function refusal(
  { error, isReadable }: Extract<Trip, { kind: 'refused' }>,
  server: RedisServer,
  given: { readonly observed: Observed; readonly anotherIsWritable: () => boolean },
): ProbeResult {
  const { observed, anotherIsWritable } = given
  const message = error instanceof Error ? error.message : String(error)
  const code = refusalCode(error, message)
  // A user who is confined to the app's own keys is as he is meant to be; only our key is not among them.
  if (code === 'NOPERM' && /\bkeys?\b/.test(message))
    return {
      status: 'warn',
      code,
      cause: 'dependency',
      reason:
        'the key of the probe is not among those that the login may touch; grant ~afterspan:health:* to have writes checked',
      observed,
    }
  const refusesWrites = code === 'READONLY' || code === 'NOPERM'
  // A client that never could write, in an app that writes elsewhere or that asked for a replica, is as it is meant to be.
  if (isReadable && refusesWrites && !server.wasWritable && (server.hint || anotherIsWritable()))
    return { status: 'pass', observed: { ...observed, role: { value: 'read_only' } } }
  return sick(code, scrub(message), observed)
}

function refusalCode(error: unknown, message: string): string {
  const network = networkCode(error)
  if (network) return network
  const word = /^([A-Z]{2,20})\b/.exec(message)?.[1]
  if (word && word !== 'ERR' && publicCode(word) === word) return word
  if (/timed? ?out/i.test(message)) return 'timeout'
  if (/max retries|isn't writeable|isn't ready|client is offline/i.test(message)) return 'not_connected'
  return /closed|ended|aborted/i.test(message) ? 'connection_lost' : 'error'
}
