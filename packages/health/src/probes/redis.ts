import { randomBytes } from 'node:crypto'
import type { Clock, ModuleHook, ProbeResult } from '@afterspan/core/internal'
import { madeBy } from '../made-at.ts'
import type { FoundProbe } from '../registry.ts'
import { namesReplica } from '../replica.ts'
import { untilAborted } from '../until-aborted.ts'
import { FreshControl } from './fresh-control.ts'
import { experiment, FreshClients, isSilent } from './redis-control.ts'
import { RedisDoorstep, type RedisAddress } from './redis-door.ts'
import { RedisMasters } from './redis-masters.ts'
import { notConnected } from './redis-refusal.ts'
import {
  judgeTrip,
  roundTrip,
  sick,
  type Observed,
  type RedisDoor,
  type RedisServer,
  type Trip,
} from './redis-round-trip.ts'
import { tagsOfMasters } from './redis-slots.ts'
import { identityOf, isBlocked, isClosed, isUsable, type RedisClient } from './redis-client.ts'

type Add = (probe: FoundProbe, madeAt: string | undefined) => unknown
type SetStatus = (this: RedisClient, status: string, ...rest: unknown[]) => unknown
type SilentEmit = (this: RedisClient, event: string, ...rest: unknown[]) => unknown
interface RedisConstructor {
  readonly prototype: { setStatus?: SetStatus & { [SEEN]?: true }; silentEmit?: SilentEmit & { [SEEN]?: true } }
  readonly Cluster?: RedisConstructor
  readonly default?: RedisConstructor
  readonly Redis?: RedisConstructor
}

const SEEN = Symbol('afterspan.health')
const MOST_GROUPS = 20
const MOST_CLIENTS = 100
const OWN_FRAMES = /[\\/](?:ioredis|redis-parser|standard-as-callback|redis-errors)[\\/]/

/**
 * Finds each ioredis client by the first status that its constructor sets, on the prototype that every way of import shares: `new Redis`, named
 * imports, `duplicate()`, subclasses. A constructor that is stood in for would miss the named imports of ES modules. Connections that ioredis
 * makes for itself (nodes of a cluster, sentinels) have no caller outside of it and are left alone.
 */
export function redisHook(
  add: Add,
  clock: Pick<Clock, 'monotonicMs'>,
  onRejected: (why: string) => void,
  deadMs = 60_000,
): ModuleHook {
  const fresh = new FreshClients()
  const groups = new Map<string, Group>()
  const members = new WeakMap<RedisClient, Member | 'not ours'>()

  const onStatus = (client: RedisClient, status: string, boundary: SetStatus): void => {
    let member = members.get(client)
    if (member === undefined) {
      member = fresh.isMaking ? 'not ours' : (join(client, boundary) ?? 'not ours')
      members.set(client, member)
    }
    if (member !== 'not ours') follow(member, client, status)
  }
  const onError = (client: RedisClient, error: unknown): void => {
    const member = members.get(client)
    if (member && member !== 'not ours') member.lastError = error
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
      group = newGroup(client, new FreshControl(isSilent, () => clock.monotonicMs(), deadMs))
      groups.set(key, group)
      const own = group
      add(
        redisProbe(own, fresh, () => [...groups.values()].some((other) => other !== own && other.wasWritable)),
        by.at,
      )
    }
    for (const old of group.members) if (!old.ref.deref()) group.members.delete(old)
    // One of them is asked; more than this are not even looked at.
    if (group.members.size >= MOST_CLIENTS) return undefined
    const member = newMember(client, group)
    group.members.add(member)
    return member
  }

  return {
    name: 'ioredis (health)',
    module: 'ioredis',
    versions: '>=4.0.0 <7',
    patch: (exports: RedisConstructor) => watchClients(exports, onStatus, onError),
  }
}

type OnStatus = (client: RedisClient, status: string, boundary: SetStatus) => void
type OnError = (client: RedisClient, error: unknown) => void

function watchClients(exports: RedisConstructor, onStatus: OnStatus, onError: OnError): void {
  const Redis = typeof exports === 'function' ? exports : (exports.default ?? exports.Redis)
  const constructors = [Redis, exports.Redis, Redis?.Cluster, exports.Cluster]
  for (const constructor of new Set(constructors.filter((c) => c !== undefined))) {
    watchStatus(constructor, onStatus)
    watchErrors(constructor, onError)
  }
}

function watchStatus({ prototype }: RedisConstructor, onStatus: OnStatus): void {
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

/** By the method through which ioredis tells all of its errors: a listener would take the place of the app's, and of its absence. */
function watchErrors({ prototype }: RedisConstructor, onError: OnError): void {
  const original = prototype.silentEmit
  if (typeof original !== 'function' || original[SEEN]) return
  const silentEmit: SilentEmit & { [SEEN]?: true } = function (event, ...rest) {
    if (event === 'error') onError(this, rest[0])
    return original.call(this, event, ...rest)
  }
  silentEmit[SEEN] = true
  prototype.silentEmit = silentEmit
}

interface Group extends RedisServer {
  /** One for each group: two names of one server must not read each other's values. */
  readonly tag: string
  readonly masters: RedisMasters
  readonly members: Set<Member>
  readonly control: FreshControl
  readonly doorstep: RedisDoorstep
  /** What is on its way: it is not asked a second time. */
  flight: Promise<Trip> | undefined
}
interface Member {
  readonly ref: WeakRef<RedisClient>
  readonly group: Group
  closedByApp: boolean
  hasBlocked: boolean
  /** Since it was last connected. */
  lastError: unknown
}

function newMember(client: RedisClient, group: Group): Member {
  return { ref: new WeakRef(client), group, closedByApp: false, hasBlocked: false, lastError: undefined }
}

function newGroup({ options }: RedisClient, control: FreshControl): Group {
  return {
    tag: randomBytes(6).toString('hex'),
    masters: new RedisMasters(),
    doorstep: new RedisDoorstep(),
    members: new Set(),
    control,
    flight: undefined,
    wasWritable: false,
    hint: options?.readOnly === true || options?.role === 'slave' || namesReplica(options?.host ?? ''),
  }
}

/** A client that the app has closed is no longer looked at; one that gave up reconnecting is a finding. */
function follow(member: Member, client: RedisClient, status: string): void {
  if (status === 'ready') member.lastError = undefined
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

function redisProbe(group: Group, fresh: FreshClients, anotherIsWritable: () => boolean): FoundProbe {
  return {
    name: 'redis',
    component: 'redis',
    criticality: 'required',
    isGone: () => isGone(group),
    async check(signal) {
      const [client] = living(group)
      const result = await group.doorstep.check(doorOf(client), () => checkGroup(group, signal, anotherIsWritable))
      if (!client || client.isCluster) return result
      const key = keyOf(`${group.tag}:control`)
      return group.control.judge(result, () => experiment(() => fresh.make(client), key))
    },
  }
}

/** Of one server that is spoken to without TLS. */
function doorOf(client: RedisClient | undefined): RedisAddress | undefined {
  const { options } = client ?? {}
  return !options || client?.isCluster || options.sentinels || options.tls ? undefined : options
}

async function checkGroup(group: Group, signal: AbortSignal, anotherIsWritable: () => boolean): Promise<ProbeResult> {
  const clients = living(group)
  const found = clients.find(isUsable) ?? (await firstReady(clients, signal))
  // Whoever made it was told first that it is ready, and may have begun to listen.
  const client = found && isUsable(found) ? found : undefined
  // Counted after the wait: an answer of a client that became ready in it must not say that none was.
  const observed: Observed = {
    clients: { value: clients.length, unit: 'count' },
    ready: { value: clients.filter(({ status }) => status === 'ready').length, unit: 'count' },
  }
  if (client) return ask(client, group, { signal, observed, anotherIsWritable })
  const heard = [...group.members].find(({ lastError }) => lastError !== undefined)
  return withoutAsking(clients, observed, heard?.lastError)
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

/** What the clients' own states say, where none may be asked. */
function withoutAsking(clients: readonly RedisClient[], observed: Observed, error: unknown): ProbeResult {
  const statuses = new Set(clients.map(({ status }) => status))
  if (statuses.has('ready')) return { status: 'pass', observed: { ...observed, checked: { value: 'status' } } }
  const known = { ...observed, state: { value: [...statuses].join(' ') } }
  if (statuses.size === 1 && statuses.has('wait'))
    return { status: 'warn', code: 'not_connected', reason: 'no client has been asked to connect yet', observed: known }
  if (statuses.size === 1 && statuses.has('end'))
    return sick('client_ended', 'the client has given up reconnecting', known)
  return notConnected(error, known)
}

/** A cluster by each of its masters, anything else by one key. */
async function ask(
  client: RedisClient,
  group: Group,
  given: { readonly signal: AbortSignal; readonly observed: Observed; readonly anotherIsWritable: () => boolean },
): Promise<ProbeResult> {
  const door: RedisDoor = {
    set: (key, value, ttlMs) => client.set(key, value, 'PX', ttlMs),
    get: (key) => client.get(key),
    del: (key) => client.del(key),
  }
  const keys = client.isCluster ? keysOfMasters(client, group.tag) : undefined
  if (keys && keys.size > 0) return group.masters.check(door, keys, group, given)
  const trip = await untilAborted(onlyTrip(group, door), given.signal)
  if (trip === 'late') return sick('timeout', 'the server did not answer within the deadline', given.observed)
  return judgeTrip(trip, group, { ...given, mayBeBehind: client.isCluster === true })
}

/** A client that does not answer is not asked a second time meanwhile. */
function onlyTrip(group: Group, door: RedisDoor): Promise<Trip> {
  if (group.flight) return group.flight
  const flight = roundTrip(door, keyOf(group.tag))
  group.flight = flight
  void flight.then(() => (group.flight = undefined))
  return flight
}

/** By the master's address. Where the app's own prefix has a hash tag, every key of this client goes to one master. */
function keysOfMasters(client: RedisClient, tag: string): Map<string, string> {
  const masters = client.options?.keyPrefix?.includes('{') ? 1 : (client.nodes?.('master').length ?? 0)
  const tags = tagsOfMasters(tag, masters, (slot) => client.slots?.[slot]?.[0])
  return new Map([...tags].map(([master, its]) => [master, keyOf(its)]))
}

function keyOf(tag: string): string {
  return `afterspan:health:{${tag}}`
}
