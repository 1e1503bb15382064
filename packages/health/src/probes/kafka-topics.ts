// What the brokers of Kafka say of the topics that the app uses, and what follows from it: the same for each client library.
import { connect } from 'node:net'
import type { ProbeResult } from '@afterspan/core/internal'
import { networkCode } from '../codes.ts'
import { scrub } from '../scrub.ts'

export interface Partition {
  /** Less than 0: none. */
  readonly leader: number
  readonly replicas: readonly number[]
  readonly isr: readonly number[]
}
export interface Address {
  readonly host: string
  readonly port: number
}
export interface TopicsAnswer {
  readonly roundTripMs: number
  readonly topics: ReadonlyMap<string, readonly Partition[]>
  /** min.insync.replicas, of the topics of which it is known. */
  readonly minInSync: ReadonlyMap<string, number>
  /** Why a broker that leads one of the topics cannot be reached. */
  readonly unreachable: string | undefined
}
type Observed = NonNullable<ProbeResult['observed']>

const MOST_BROKERS = 5
const REACH_MS = 1000
/** A broker that was reached is not tried again for so long; one that was not is, soon. */
const REACHED_FOR_MS = 60_000
const UNREACHED_FOR_MS = 4000

/** `role`: too few replicas hold up who writes, not who reads. */
export function judgeTopics(answer: TopicsAnswer, role: 'consumer' | 'producer'): ProbeResult {
  const { topics, minInSync, roundTripMs, unreachable } = answer
  const count = { partitions: 0, offline: 0, underReplicated: 0, underMinimum: 0 }
  for (const [topic, partitions] of topics)
    for (const { leader, replicas, isr } of partitions) {
      count.partitions++
      // Kafka asks for no more replicas than there are.
      const least = Math.min(minInSync.get(topic) ?? 1, replicas.length)
      if (leader < 0) count.offline++
      else if (isr.length < least) count.underMinimum++
      else if (isr.length < replicas.length) count.underReplicated++
    }
  const observed: Observed = { roundTrip: { value: roundTripMs, unit: 'ms' }, ...counts(count) }
  if (count.offline > 0) return sick('offline_partitions', 'partitions of the app’s topics have no leader', observed)
  if (unreachable !== undefined) {
    const reason = `the broker that leads partitions of the app’s topics has an address at which nobody answers (${unreachable}): its advertised listener may be wrong`
    return sick('brokers_unreachable', reason, observed)
  }
  if (count.underMinimum === 0) return { status: 'pass', observed }
  const reason = 'fewer replicas are in sync than min.insync.replicas: what is to be kept by all of them is refused'
  const result = sick('under_min_isr', reason, observed)
  return role === 'producer' ? result : { ...result, status: 'warn' }
}

function counts(count: Readonly<Record<string, number>>): Observed {
  const said = Object.entries(count).filter(([name, value]) => value > 0 || name === 'partitions')
  return Object.fromEntries(said.map(([name, value]) => [name, { value, unit: 'count' }]))
}

/** Whether brokers are there to which the client has no connection: by one that is closed as soon as it is open, and not often. */
export class Reachable {
  readonly #now: () => number
  readonly #known = new Map<string, { readonly at: number; readonly why: string | undefined }>()

  constructor(now: () => number) {
    this.#now = now
  }

  /** Why one of them is not there. */
  async why(addresses: readonly Address[]): Promise<string | undefined> {
    const asked = addresses.slice(0, MOST_BROKERS)
    return (await Promise.all(asked.map((address) => this.#one(address)))).find((why) => why !== undefined)
  }

  async #one(address: Address): Promise<string | undefined> {
    const key = `${address.host}:${address.port}`
    const known = this.#known.get(key)
    const now = this.#now()
    if (known && now - known.at < (known.why === undefined ? REACHED_FOR_MS : UNREACHED_FOR_MS)) return known.why
    if (this.#known.size >= 10 * MOST_BROKERS) this.#known.clear()
    const why = await reach(address)
    this.#known.set(key, { at: now, why })
    return why
  }
}

/** Undefined where it answers. */
function reach({ host, port }: Address): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port }).unref()
    const end = (why: string | undefined): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve(why)
    }
    const timer = setTimeout(() => end('timeout'), REACH_MS).unref()
    socket.once('connect', () => end(undefined))
    socket.on('error', (error) => end(networkCode(error) ?? 'error'))
  })
}

export function sick(code: string, reason: string, observed?: Observed): ProbeResult {
  return { status: 'fail', code, cause: 'dependency', reason, ...(observed ? { observed } : {}) }
}

/** The worse of two; what was measured is told of both. */
export function worse(one: ProbeResult, other: ProbeResult): ProbeResult {
  const rank = { pass: 0, warn: 1, fail: 2 }
  const [first, second] = rank[other.status] > rank[one.status] ? [other, one] : [one, other]
  const observed = { ...second.observed, ...first.observed }
  return Object.keys(observed).length > 0 ? { ...first, observed } : first
}

/** What a broker refuses, by the name that Kafka gives it. */
export const PROTOCOL_CODES: Readonly<Record<string, string>> = {
  CLUSTER_AUTHORIZATION_FAILED: 'no_permission',
  GROUP_AUTHORIZATION_FAILED: 'no_permission',
  ILLEGAL_SASL_STATE: 'auth_failed',
  LEADER_NOT_AVAILABLE: 'offline_partitions',
  NOT_ENOUGH_REPLICAS: 'under_min_isr',
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: 'under_min_isr',
  SASL_AUTHENTICATION_FAILED: 'auth_failed',
  TOPIC_AUTHORIZATION_FAILED: 'no_permission',
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: 'no_permission',
  UNKNOWN_TOPIC_OR_PARTITION: 'topic_gone',
}

/** For the authorised body. */
export function said(error: unknown): string {
  return scrub(error instanceof Error ? error.message : String(error))
}
