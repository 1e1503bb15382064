import type { ModuleHook, ProbeResult } from '@afterspan/core/internal'
import { networkCode } from '../codes.ts'
import { KnownClients } from '../known-clients.ts'
import { madeBy } from '../made-at.ts'
import type { FoundProbe } from '../registry.ts'
import { scrub } from '../scrub.ts'
import { untilAborted } from '../until-aborted.ts'
import { judgeQueue, sick, type QueueAnswer, type QueueThresholds } from './queue-judgement.ts'

/** Of BullMQ 5 and 6. */
export interface Queue {
  readonly name: string
  readonly closing?: unknown
  getJobCounts(...types: string[]): Promise<Readonly<Record<string, number>>>
  getJobs(types: string[], start: number, end: number, asc: boolean): Promise<readonly (Job | undefined)[]>
  getWorkers(): Promise<readonly unknown[]>
  /** Not of the first versions of BullMQ 5. */
  getWorkersCount?(): Promise<number>
  isPaused(): Promise<boolean>
  /** Of BullMQ 5. */
  readonly client?: PromiseLike<RedisClient>
  /** Of BullMQ 6, where it is Redis. */
  readonly backend?: { readonly client?: PromiseLike<RedisClient> }
  toKey?(type: string): string
}
/** Of ioredis, and whatever BullMQ puts before other clients. */
interface RedisClient {
  exists?(key: string): PromiseLike<number>
  lrange?(key: string, from: number, to: number): PromiseLike<readonly string[]>
}
interface Job {
  readonly timestamp?: number
  readonly delay?: number
}
interface Exports {
  readonly Queue: { readonly prototype: { waitUntilReady: (this: Queue, ...args: unknown[]) => unknown } }
}
interface State {
  readonly ref: WeakRef<Queue>
  /** What is on its way: it is not asked a second time. */
  flight: Promise<QueueAnswer> | undefined
  /** Jobs at work that nobody held a lock of, and since when that is known. */
  readonly unlocked: Map<string, number>
}
const OWN_FRAMES = /[\\/]node_modules[\\/](?:bullmq|@nestjs[\\/]bullmq)[\\/]/
/** Workers look for jobs whose worker is gone each 30 s; a second look has found them all. */
const STALLED_MS = 75_000
/** Of those that have been at work for the longest time. */
const MOST_LOOKED_AT = 10
/** import and require may both bring a class. */
const watched = new WeakSet<object>()

/** Finds queues as they are made: the constructor asks each whether it is ready. */
export function bullmqHook(
  add: (probe: FoundProbe, madeAt: string | undefined) => unknown,
  onRejected: (why: string) => void,
  thresholds: QueueThresholds,
): ModuleHook {
  const known = new WeakSet<Queue>()
  const states = new KnownClients<State>('queues of BullMQ', isGone, onRejected)
  const found = (queue: Queue, boundary: (...args: never[]) => unknown): void => {
    if (known.has(queue)) return
    known.add(queue)
    const state: State = { ref: new WeakRef(queue), flight: undefined, unlocked: new Map() }
    if (!states.add(state)) return
    add(bullmqProbe(state, thresholds), madeBy(boundary, OWN_FRAMES).at)
  }
  return {
    name: 'bullmq (health)',
    module: 'bullmq',
    versions: '>=5.0.0 <7',
    patch({ Queue: { prototype } }: Exports) {
      if (watched.has(prototype)) return
      watched.add(prototype)
      const original = prototype.waitUntilReady
      if (typeof original !== 'function') throw new TypeError('this BullMQ has no waitUntilReady')
      const waitUntilReady: typeof original = function (...args) {
        try {
          found(this, waitUntilReady)
        } catch {
          // the app gets its queue, whatever becomes of the probe
        }
        return original.apply(this, args)
      }
      prototype.waitUntilReady = waitUntilReady
    },
  }
}

function isGone({ ref }: State): boolean {
  const queue = ref.deref()
  return queue === undefined || Boolean(queue.closing)
}

function bullmqProbe(state: State, thresholds: QueueThresholds): FoundProbe {
  return {
    name: 'bullmq',
    component: 'bullmq',
    criticality: 'required',
    isGone: () => isGone(state),
    // The calls of the app say that Redis is well, and nothing of the jobs that wait.
    seesWell: () => false,
    check: (signal) => check(state, signal, thresholds),
  }
}

async function check(state: State, signal: AbortSignal, thresholds: QueueThresholds): Promise<ProbeResult> {
  const queue = state.ref.deref()
  if (!queue || queue.closing) return { status: 'pass' }
  try {
    state.flight ??= ask(queue, state.unlocked).finally(() => (state.flight = undefined))
    const answer = await untilAborted(state.flight, signal)
    if (answer === 'late') return sick('timeout', 'the queue’s server did not answer within the deadline')
    return judgeQueue(answer, queue.name, thresholds)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return sick(networkCode(error) ?? (/clos/i.test(message) ? 'connection_lost' : 'error'), scrub(message))
  }
}

/** One question where nothing waits and none is at work; what costs more only where something does. */
async function ask(queue: Queue, unlocked: State['unlocked']): Promise<QueueAnswer> {
  const [counts, isPaused] = await Promise.all([
    queue.getJobCounts('waiting', 'paused', 'prioritized', 'active', 'delayed'),
    queue.isPaused(),
  ])
  const { paused = 0, prioritized = 0, active = 0, delayed = 0 } = counts
  const waiting = (counts['waiting'] ?? 0) + paused + prioritized
  const stalled = active === 0 ? unlocked.clear() : await countStalled(queue, unlocked)
  const answer = { waiting, active, delayed, isPaused, unlocked: unlocked.size, ...(stalled ? { stalled } : {}) }
  if (waiting === 0 && !stalled) return answer
  const [[oldest], workers] = await Promise.all([
    waiting === 0 ? [] : queue.getJobs(['waiting'], 0, 0, true),
    // The server lists all of its clients for that.
    active <= unlocked.size || stalled ? countWorkers(queue) : undefined,
  ])
  const since = oldest?.timestamp === undefined ? undefined : oldest.timestamp + (oldest.delay ?? 0)
  return {
    ...answer,
    ...(since === undefined ? {} : { oldestMs: Math.max(0, Date.now() - since) }),
    ...(workers === undefined ? {} : { workers }),
  }
}

async function countWorkers(queue: Queue): Promise<number> {
  return queue.getWorkersCount ? queue.getWorkersCount() : (await queue.getWorkers()).length
}

/** A worker that lives keeps a lock on each job that it has; one that it has lost goes back to who waits, if any worker lives. */
async function countStalled(queue: Queue, unlocked: State['unlocked']): Promise<number> {
  const client = await (queue.backend?.client ?? queue.client)
  const keyOf = (type: string): string => queue.toKey!(type)
  if (!client?.lrange || !client.exists || typeof queue.toKey !== 'function') return 0
  const ids = await client.lrange(keyOf('active'), -MOST_LOOKED_AT, -1)
  const locks = await Promise.all(ids.map((id) => client.exists!(keyOf(`${id}:lock`))))
  const now = performance.now()
  const without = new Set(ids.filter((_, i) => !locks[i]))
  for (const id of unlocked.keys()) if (!without.has(id)) unlocked.delete(id)
  for (const id of without) if (!unlocked.has(id)) unlocked.set(id, now)
  return [...unlocked.values()].filter((since) => now - since >= STALLED_MS).length
}
