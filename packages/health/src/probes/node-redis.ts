import { randomBytes } from 'node:crypto'
import type { Clock, ModuleHook, ProbeResult } from '@afterspan/core/internal'
import { madeBy } from '../made-at.ts'
import type { FoundProbe } from '../registry.ts'
import { namesReplica } from '../replica.ts'
import { untilAborted } from '../until-aborted.ts'
import { doorOf, hostOf, identityOf, isSubscriber, type Kind, type NodeRedisClient } from './node-redis-client.ts'
import { FreshNodeClients } from './node-redis-control.ts'
import { NodeRedisPool } from './node-redis-pool.ts'
import { watchNodeRedis, type Made, type Watcher } from './node-redis-watch.ts'
import { FreshControl } from './fresh-control.ts'
import { experiment, isSilent } from './redis-control.ts'
import { RedisDoorstep } from './redis-door.ts'
import { RedisMasters } from './redis-masters.ts'
import { notConnected } from './redis-refusal.ts'
import { judgeTrip, roundTrip, sick, type Observed, type RedisServer, type Trip } from './redis-round-trip.ts'
import { tagsOfMasters } from './redis-slots.ts'

type Add = (probe: FoundProbe, madeAt: string | undefined) => unknown

const MOST_GROUPS = 20
const MOST_CLIENTS = 100
const READY_POLL_MS = 20
const OWN_FRAMES = /[\\/]node_modules[\\/](?:redis|@redis[\\/][a-z-]+)[\\/]/

interface Group extends RedisServer {
  readonly kind: Kind
  /** One for each group: two names of one server must not read each other's values. */
  readonly tag: string
  readonly members: Set<Member>
  readonly masters: RedisMasters
  readonly pool: NodeRedisPool
  readonly defaultResp: number
  readonly control: FreshControl
  readonly doorstep: RedisDoorstep
  /** What is on its way: it is not asked a second time. */
  flight: Promise<Trip> | undefined
}
interface Member {
  readonly ref: WeakRef<NodeRedisClient>
  readonly group: Group
  wasAsked: boolean
  isConnecting: boolean
  wasReady: boolean
  isMonitor: boolean
  /** Blocking commands that wait now. */
  blocked: number
  hasBlocked: boolean
  /** The last that it told of. */
  lastError: unknown
}
type State = 'connecting' | 'ended' | 'ready' | 'wait'

/**
 * Finds what createClient(), createClientPool(), createCluster(), createSentinel() and duplicate() of node-redis make. What these make for
 * themselves (nodes of a cluster, members of a pool) comes by other ways and is left alone. No listener is put on a client: taking one off
 * again would take off the app's own, as node-redis counts them.
 */
export function nodeRedisHook(
  add: Add,
  onRejected: (why: string) => void,
  clock: Pick<Clock, 'monotonicMs'> = { monotonicMs: () => performance.now() },
  deadMs = 60_000,
): ModuleHook {
  const fresh = new FreshNodeClients()
  const groups = new Map<string, Group>()
  const members = new WeakMap<NodeRedisClient, Member>()

  const onMade = ({ client, kind, options, boundary, defaultResp }: Made): void => {
    if (fresh.isMaking) return
    const by = madeBy(boundary, OWN_FRAMES)
    if (by.kind === 'library') return
    for (const [key, old] of groups) if (isGone(old)) groups.delete(key)
    const key = identityOf(kind, options)
    let group = groups.get(key)
    if (!group) {
      if (groups.size >= MOST_GROUPS) return onRejected(`there are clients of ${MOST_GROUPS} Redis servers already`)
      const control = new FreshControl(isSilent, () => clock.monotonicMs(), deadMs)
      const hint = options?.readonly === true || namesReplica(hostOf(options))
      group = newGroup({ kind, defaultResp, hint, control })
      groups.set(key, group)
      const own = group
      const anotherIsWritable = (): boolean => [...groups.values()].some((other) => other !== own && other.wasWritable)
      add(nodeRedisProbe(own, fresh, anotherIsWritable), by.at)
    }
    for (const old of group.members) if (!old.ref.deref()) group.members.delete(old)
    // One of them is asked; more than this are not even looked at.
    if (group.members.size < MOST_CLIENTS) members.set(client, join(group, client))
  }

  return {
    name: 'redis (health)',
    module: '@redis/client',
    files: ['client/index', 'client/pool', 'cluster/index', 'sentinel/index'].map((file) => `dist/lib/${file}.js`),
    versions: '>=5.0.0 <7',
    patch(exports, { version }) {
      const memberOf = (client: NodeRedisClient): Member | undefined => members.get(client)
      watchNodeRedis(exports, Number.parseInt(version) >= 6 ? 3 : 2, { onMade, ...followers(memberOf) })
    },
  }
}

/** What happens to a client that is known. */
function followers(memberOf: (client: NodeRedisClient) => Member | undefined): Omit<Watcher, 'onMade'> {
  return {
    onConnect: (client, isOver) => {
      const member = memberOf(client)
      if (!member) return
      member.isConnecting = !isOver
      member.wasAsked = true
      // Closed before, and open again.
      if (!isOver) member.group.members.add(member)
    },
    onClose: (client) => {
      const member = memberOf(client)
      // A pool that cannot connect closes itself.
      const isByApp = member?.group.kind !== 'pool' || !member.isConnecting
      if (member && isByApp) member.group.members.delete(member)
    },
    onMonitor: (client, isMonitor) => {
      const member = memberOf(client)
      if (member) member.isMonitor = isMonitor
    },
    onBlocking: (client, change) => {
      const member = memberOf(client)
      if (!member) return
      member.blocked += change
      member.hasBlocked = true
    },
  }
}

function newGroup(given: Pick<Group, 'control' | 'defaultResp' | 'hint' | 'kind'>): Group {
  return {
    ...given,
    flight: undefined,
    tag: randomBytes(6).toString('hex'),
    members: new Set(),
    masters: new RedisMasters(),
    doorstep: new RedisDoorstep(),
    pool: new NodeRedisPool(),
    wasWritable: false,
  }
}

function join(group: Group, client: NodeRedisClient): Member {
  const member: Member = {
    ref: new WeakRef(client),
    group,
    wasAsked: false,
    isConnecting: false,
    wasReady: false,
    isMonitor: false,
    blocked: 0,
    hasBlocked: false,
    lastError: undefined,
  }
  group.members.add(member)
  hearErrors(client, member)
  return member
}

/** By its own emit: node-redis counts the listeners that there are. */
function hearErrors(client: NodeRedisClient, member: Member): void {
  const { emit } = client
  if (typeof emit !== 'function') return
  const hearing = function (this: NodeRedisClient, event: string, ...rest: unknown[]): unknown {
    if (event === 'error') member.lastError = rest[0]
    return emit.call(this, event, ...rest)
  }
  Object.defineProperty(client, 'emit', { value: hearing, writable: true, configurable: true })
}

interface Living {
  readonly client: NodeRedisClient
  readonly member: Member
  readonly state: State
}

/** Those that were never seen in a blocking command come first. */
function living(group: Group): Living[] {
  const found: Living[] = []
  for (const member of group.members) {
    const client = member.ref.deref()
    if (!client) continue
    const state = stateOf(client, member)
    if (state === 'ready') {
      member.wasReady = true
      member.lastError = undefined
    }
    found.push({ client, member, state })
  }
  return found.sort((a, b) => Number(a.member.hasBlocked) - Number(b.member.hasBlocked))
}

function stateOf(client: NodeRedisClient, { isConnecting, wasAsked }: Member): State {
  if (client.isReady ?? (client.isOpen && !isConnecting)) return 'ready'
  if (client.isOpen || isConnecting) return 'connecting'
  return wasAsked ? 'ended' : 'wait'
}

function isGone(group: Group): boolean {
  return living(group).length === 0
}

function nodeRedisProbe(group: Group, fresh: FreshNodeClients, anotherIsWritable: () => boolean): FoundProbe {
  return {
    name: 'redis',
    component: 'redis',
    criticality: 'required',
    isGone: () => isGone(group),
    async check(signal) {
      const [first] = living(group)
      const address = group.kind === 'client' ? first?.client.options?.socket : undefined
      const check = (): Promise<ProbeResult> => checkGroup(group, signal, anotherIsWritable)
      const result = await group.doorstep.check(address?.tls ? undefined : address, check)
      if (!first || group.kind !== 'client') return result
      return group.control.judge(result, () =>
        experiment(() => fresh.make(first.client), keyOf(`${group.tag}:control`)),
      )
    },
  }
}

async function checkGroup(group: Group, signal: AbortSignal, anotherIsWritable: () => boolean): Promise<ProbeResult> {
  await someReady(group, signal)
  const clients = living(group)
  const observed: Observed = {
    clients: { value: clients.length, unit: 'count' },
    ready: { value: clients.filter(({ state }) => state === 'ready').length, unit: 'count' },
  }
  const usable = clients.find((each) => isUsable(each, group.defaultResp))
  if (usable) return ask(usable.client, group, { signal, observed, anotherIsWritable })
  const heard = clients.find(({ member }) => member.lastError !== undefined)
  return withoutAsking(clients, observed, heard?.member.lastError)
}

/** Connected, and a command sent now would be answered next: no subscriber, no monitor, nothing before it that waits for other people's data. */
function isUsable({ client, member, state }: Living, defaultResp: number): boolean {
  return state === 'ready' && member.blocked === 0 && !member.isMonitor && !isSubscriber(client, defaultResp)
}

/** Where none is connected yet but one is connecting for the first time: until it is, or the signal comes. */
async function someReady(group: Group, signal: AbortSignal): Promise<void> {
  const isWorthWaiting = (): boolean => {
    const clients = living(group)
    return (
      clients.every(({ state, member }) => state !== 'ready' && !member.wasReady) &&
      clients.some(({ state }) => state === 'connecting')
    )
  }
  while (!signal.aborted && isWorthWaiting()) await pause()
}

function pause(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, READY_POLL_MS).unref()
  })
}

/** What the clients' own states say, where none may be asked. */
function withoutAsking(clients: readonly Living[], observed: Observed, error: unknown): ProbeResult {
  const states = new Set(clients.map(({ state }) => state))
  if (states.has('ready')) return { status: 'pass', observed: { ...observed, checked: { value: 'status' } } }
  const known = { ...observed, state: { value: [...states].join(' ') } }
  if (states.size === 1 && states.has('wait'))
    return { status: 'warn', code: 'not_connected', reason: 'no client has been asked to connect yet', observed: known }
  if (states.size === 1 && states.has('ended'))
    return sick('client_ended', 'the client has given up reconnecting', known)
  return notConnected(error, known)
}

async function ask(
  client: NodeRedisClient,
  group: Group,
  given: { readonly signal: AbortSignal; readonly observed: Observed; readonly anotherIsWritable: () => boolean },
): Promise<ProbeResult> {
  if (group.kind === 'pool') return group.pool.check(client, keyOf(group.tag), group, given)
  const door = doorOf(client, group.kind)
  const keys = group.kind === 'cluster' ? keysOfMasters(client, group.tag) : undefined
  if (keys && keys.size > 0) return group.masters.check(door, keys, group, given)
  const flight = (group.flight ??= roundTrip(door, keyOf(group.tag)).finally(() => (group.flight = undefined)))
  const trip = await untilAborted(flight, given.signal)
  if (trip === 'late') return sick('timeout', 'the server did not answer within the deadline', given.observed)
  return judgeTrip(trip, group, { ...given, mayBeBehind: false })
}

function keysOfMasters({ slots, masters }: NodeRedisClient, tag: string): Map<string, string> {
  const tags = tagsOfMasters(tag, masters?.length ?? 0, (slot) => slots?.[slot]?.master?.address)
  return new Map([...tags].map(([master, its]) => [master, keyOf(its)]))
}

function keyOf(tag: string): string {
  return `afterspan:health:{${tag}}`
}
