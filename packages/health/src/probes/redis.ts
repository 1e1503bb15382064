import { randomBytes } from 'node:crypto'
import type { ModuleHook, ProbeResult } from '@afterspan/core/internal'
import { networkCode, publicCode } from '../codes.ts'
import { madeBy } from '../made-at.ts'
import type { FoundProbe } from '../registry.ts'
import { namesReplica } from '../replica.ts'
import { scrub } from '../scrub.ts'
import { identityOf, isBlocked, isClosed, isUsable, type RedisClient } from './redis-client.ts'

type Add = (probe: FoundProbe, madeAt: string | undefined) => unknown
type SetStatus = (this: RedisClient, status: string, ...rest: unknown[]) => unknown
interface RedisConstructor {
  readonly prototype: { setStatus?: SetStatus & { [SEEN]?: true } }
  readonly Cluster?: RedisConstructor
  readonly default?: RedisConstructor
  readonly Redis?: RedisConstructor
}

const SEEN = Symbol('afterspan.health')
const MOST_GROUPS = 20
const MOST_CLIENTS = 100
const TTL_MS = 10_000
const OWN_FRAMES = /[\\/](?:ioredis|redis-parser|standard-as-callback|redis-errors)[\\/]/

/**
 * Finds each ioredis client by the first status that its constructor sets, on the prototype that every way of import shares: `new Redis`, named
 * imports, `duplicate()`, subclasses. A constructor that is stood in for would miss the named imports of ES modules. Connections that ioredis
 * makes for itself (nodes of a cluster, sentinels) have no caller outside of it and are left alone.
 */
export function redisHook(add: Add, onRejected: (why: string) => void): ModuleHook {
  const groups = new Map<string, Group>()
  const members = new WeakMap<RedisClient, Member | 'not ours'>()

  const onStatus = (client: RedisClient, status: string, boundary: SetStatus): void => {
    let member = members.get(client)
    if (member === undefined) {
      member = join(client, boundary) ?? 'not ours'
      members.set(client, member)
    }
    if (member !== 'not ours') follow(member, client, status)
  }
  const join = (client: RedisClient, boundary: SetStatus): Member | undefined => {
    const by = madeBy(boundary as (...args: never[]) => unknown, OWN_FRAMES)
    if (by.kind === 'library') return undefined
    for (const [key, old] of groups) if (isGone(old)) groups.delete(key)
    const key = identityOf(client)
    let group = groups.get(key)
    if (!group) {
      if (groups.size >= MOST_GROUPS) {
        onRejected(`there are clients of ${MOST_GROUPS} Redis servers already`)
        return undefined
      }
      group = newGroup(client)
      groups.set(key, group)
      const own = group
      add(
        redisProbe(own, () => [...groups.values()].some((other) => other !== own && other.wasWritable)),
        by.kind === 'app' ? by.at : undefined,
      )
    }
    for (const old of group.members) if (!old.ref.deref()) group.members.delete(old)
    // One of them is asked; more than this are not even looked at.
    if (group.members.size >= MOST_CLIENTS) return undefined
    const member: Member = { ref: new WeakRef(client), group, closedByApp: false, hasBlocked: false }
    group.members.add(member)
    return member
  }

  return {
    name: 'ioredis (health)',
    module: 'ioredis',
    versions: '>=4.0.0 <7',
    patch(exports: RedisConstructor) {
      const Redis = typeof exports === 'function' ? exports : (exports.default ?? exports.Redis)
      const constructors = [Redis, exports.Redis, Redis?.Cluster, exports.Cluster]
      for (const constructor of new Set(constructors.filter((c) => c !== undefined))) watchStatus(constructor, onStatus)
    },
  }
}

function watchStatus(
  { prototype }: RedisConstructor,
  onStatus: (client: RedisClient, status: string, boundary: SetStatus) => void,
): void {
  const original = prototype.setStatus
  if (typeof original !== 'function') throw new TypeError('this ioredis has no setStatus')
  if (original[SEEN]) return
  const setStatus: SetStatus & { [SEEN]?: true } = function (status, ...rest) {
    try {
      onStatus(this, status, setStatus)
    } catch {
      // the client goes on, whatever becomes of the probe
    }
    return original.call(this, status, ...rest)
  }
  setStatus[SEEN] = true
  prototype.setStatus = setStatus
}

interface Group {
  readonly key: string
  readonly members: Set<Member>
  wasWritable: boolean
  readonly hint: boolean
}
interface Member {
  readonly ref: WeakRef<RedisClient>
  readonly group: Group
  closedByApp: boolean
  hasBlocked: boolean
}

function newGroup({ options }: RedisClient): Group {
  return {
    // One key for each group: two names of one server must not read each other's values.
    key: `afterspan:health:{${randomBytes(6).toString('hex')}}`,
    members: new Set(),
    wasWritable: false,
    hint: options?.readOnly === true || options?.role === 'slave' || namesReplica(options?.host ?? ''),
  }
}

/** A client that the app has closed is no longer looked at; one that gave up reconnecting is a finding. */
function follow(member: Member, client: RedisClient, status: string): void {
  // Between 'close' and 'end' ioredis forgets who wanted it.
  if (status === 'close' || status === 'disconnecting') member.closedByApp = client.manuallyClosing === true
  else if (status === 'end' && member.closedByApp) member.group.members.delete(member)
  else if (status === 'connecting' || status === 'wait') {
    member.closedByApp = false
    member.group.members.add(member)
  }
}

function isGone(group: Group): boolean {
  return living(group).length === 0
}

function redisProbe(group: Group, anotherIsWritable: () => boolean): FoundProbe {
  return {
    name: 'redis',
    component: 'redis',
    criticality: 'required',
    isGone: () => isGone(group),
    check: (signal) => checkGroup(group, signal, anotherIsWritable),
  }
}

async function checkGroup(group: Group, signal: AbortSignal, anotherIsWritable: () => boolean): Promise<ProbeResult> {
  const clients = living(group)
  const client = clients.find(isUsable) ?? (await firstReady(clients, signal))
  // Counted after the wait: an answer of a client that became ready in it must not say that none was.
  const observed: Observed = {
    clients: { value: clients.length, unit: 'count' },
    ready: { value: clients.filter(({ status }) => status === 'ready').length, unit: 'count' },
  }
  if (client) return roundTrip(client, group, { signal, observed, anotherIsWritable })
  return withoutAsking(clients, observed)
}

/** Those that were never seen in a blocking command come first. */
function living(group: Group): RedisClient[] {
  const found: { client: RedisClient; hasBlocked: boolean }[] = []
  for (const member of group.members) {
    const client = member.ref.deref()
    if (!client || isClosed(client)) continue
    member.hasBlocked ||= isBlocked(client)
    found.push({ client, hasBlocked: member.hasBlocked })
  }
  return found.sort((a, b) => Number(a.hasBlocked) - Number(b.hasBlocked)).map(({ client }) => client)
}

/** Where none is connected yet but one is about to be: that one, or none when the signal comes first. */
function firstReady(clients: readonly RedisClient[], signal: AbortSignal): Promise<RedisClient | undefined> {
  if (clients.some(({ status }) => status === 'ready')) return Promise.resolve(undefined)
  const coming = clients.filter(({ status }) => status === 'connecting' || status === 'connect')
  if (coming.length === 0 || signal.aborted) return Promise.resolve(undefined)
  return new Promise((resolve) => {
    const listeners = coming.map((client) => ({ client, onReady: () => done(client) }))
    const onAbort = (): void => done(undefined)
    const done = (client: RedisClient | undefined): void => {
      for (const each of listeners) each.client.removeListener('ready', each.onReady)
      signal.removeEventListener('abort', onAbort)
      resolve(client && isUsable(client) ? client : undefined)
    }
    for (const each of listeners) each.client.once('ready', each.onReady)
    signal.addEventListener('abort', onAbort, { once: true })
  })
}

type Observed = NonNullable<ProbeResult['observed']>

/** What the clients' own states say, where none may be asked. */
function withoutAsking(clients: readonly RedisClient[], observed: Observed): ProbeResult {
  const statuses = new Set(clients.map(({ status }) => status))
  if (statuses.has('ready')) return { status: 'pass', observed: { ...observed, checked: { value: 'status' } } }
  const known = { ...observed, state: { value: [...statuses].join(' ') } }
  if (statuses.size === 1 && statuses.has('wait'))
    return { status: 'warn', code: 'not_connected', reason: 'no client has been asked to connect yet', observed: known }
  if (statuses.size === 1 && statuses.has('end'))
    return sick('client_ended', 'the client has given up reconnecting', known)
  return sick('not_connected', 'no client is connected', known)
}

function sick(code: string, reason: string, observed: Observed): ProbeResult {
  return { status: 'fail', code, cause: 'dependency', reason, observed }
}

interface Given {
  readonly signal: AbortSignal
  readonly observed: Observed
  readonly anotherIsWritable: () => boolean
}

/** SET, GET and DEL of a random value in one go: PING is answered while every write is refused. */
async function roundTrip(client: RedisClient, group: Group, given: Given): Promise<ProbeResult> {
  const { observed } = given
  const value = randomBytes(8).toString('hex')
  const replies = Promise.allSettled([
    client.set(group.key, value, 'PX', TTL_MS),
    client.get(group.key),
    client.del(group.key),
  ])
  const settled = await replies
  const [set, get] = settled
  if (set.status === 'rejected') return refusal(set.reason, get, group, given)
  // The connection is inside of a MULTI of the app's: nothing was tried, and nothing can be said.
  if (set.value === 'QUEUED') return { status: 'pass', observed: { ...observed, checked: { value: 'status' } } }
  group.wasWritable = true
  if (get.status === 'rejected') return refusal(get.reason, get, group, given)
  // In a cluster a replica may be read, which is behind.
  if (get.value !== value && !client.isCluster)
    return sick('round_trip_mismatch', 'what was written was not what was read', observed)
  return { status: 'pass', observed }
}

function refusal(error: unknown, get: PromiseSettledResult<unknown>, group: Group, given: Given): ProbeResult {
  const { observed, anotherIsWritable } = given
  const message = error instanceof Error ? error.message : String(error)
  const code = refusalCode(error, message)
  // A user who is confined to the app's own keys is as he is meant to be; only our key is not among them.
  if (code === 'NOPERM' && /\bkeys?\b/.test(message))
    return {
      status: 'warn',
      code,
      cause: 'dependency',
      reason: 'the user may not touch the key of the probe; grant ~afterspan:health:* to have writes checked',
      observed,
    }
  const readable = get.status === 'fulfilled'
  const refusesWrites = code === 'READONLY' || code === 'NOPERM'
  // A client that never could write, in an app that writes elsewhere or that asked for a replica, is as it is meant to be.
  if (readable && refusesWrites && !group.wasWritable && (group.hint || anotherIsWritable()))
    return { status: 'pass', observed: { ...observed, role: { value: 'read_only' } } }
  return sick(code, scrub(message), observed)
}

function refusalCode(error: unknown, message: string): string {
  const network = networkCode(error)
  if (network) return network
  const word = /^([A-Z]{2,20})\b/.exec(message)?.[1]
  if (word && word !== 'ERR' && publicCode(word) === word) return word
  if (/timed? ?out/i.test(message)) return 'timeout'
  if (/max retries|isn't writeable|isn't ready/i.test(message)) return 'not_connected'
  return /closed|ended|aborted/i.test(message) ? 'connection_lost' : 'error'
}
