import type { ModuleHook, ProbeResult } from '@afterspan/core/internal'
import { networkCode } from '../codes.ts'
import { KnownClients } from '../known-clients.ts'
import { madeBy } from '../made-at.ts'
import type { FoundProbe } from '../registry.ts'
import { scrub } from '../scrub.ts'
import { untilAborted } from '../until-aborted.ts'

/** Of BullMQ 5 and 6. */
export interface Queue {
  readonly name: string
  readonly closing?: unknown
  getJobCounts(...types: string[]): Promise<Readonly<Record<string, number>>>
  getJobs(types: string[], start: number, end: number, asc: boolean): Promise<readonly (Job | undefined)[]>
  getWorkersCount(): Promise<number>
  isPaused(): Promise<boolean>
}
interface Job {
  readonly timestamp?: number
  readonly delay?: number
}
interface Exports {
  readonly Queue: { readonly prototype: { waitUntilReady: (this: Queue, ...args: unknown[]) => unknown } }
}
export interface QueueThresholds {
  /** What a queue beyond one of them is. */
  readonly status: 'warn' | 'fail'
  /** 0: never. */
  readonly mostWaiting: number
  readonly oldestMs: number
}
interface State {
  readonly ref: WeakRef<Queue>
  /** What is on its way: it is not asked a second time. */
  flight: Promise<QueueAnswer> | undefined
}
export interface QueueAnswer {
  readonly waiting: number
  readonly active: number
  readonly delayed: number
  readonly isPaused: boolean
  /** Known where jobs wait. */
  readonly oldestMs?: number
  /** Known where jobs wait and none is at work. */
  readonly workers?: number
}

const OWN_FRAMES = /[\\/]node_modules[\\/](?:bullmq|@nestjs[\\/]bullmq)[\\/]/
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
    const state: State = { ref: new WeakRef(queue), flight: undefined }
    if (!states.add(state)) return
    const by = madeBy(boundary, OWN_FRAMES)
    add(bullmqProbe(state, thresholds), by.kind === 'app' ? by.at : undefined)
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
    if (!state.flight) {
      const flight = ask(queue)
      const land = (): void => {
        if (state.flight === flight) state.flight = undefined
      }
      state.flight = flight
      flight.then(land, land)
    }
    const answer = await untilAborted(state.flight, signal)
    if (answer === 'late') return sick('timeout', 'the queue’s server did not answer within the deadline')
    return judgeQueue(answer, queue.name, thresholds)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return sick(networkCode(error) ?? (/clos/i.test(message) ? 'connection_lost' : 'error'), scrub(message))
  }
}

/** One question where nothing waits; what costs more only where something does. */
async function ask(queue: Queue): Promise<QueueAnswer> {
  const [counts, isPaused] = await Promise.all([
    queue.getJobCounts('waiting', 'paused', 'prioritized', 'active', 'delayed'),
    queue.isPaused(),
  ])
  const { paused = 0, prioritized = 0, active = 0, delayed = 0 } = counts
  const waiting = (counts['waiting'] ?? 0) + paused + prioritized
  const answer = { waiting, active, delayed, isPaused }
  if (waiting === 0) return answer
  const [[oldest], workers] = await Promise.all([
    queue.getJobs(['waiting'], 0, 0, true),
    // The server lists all of its clients for that.
    active === 0 ? queue.getWorkersCount() : undefined,
  ])
  const since = oldest?.timestamp === undefined ? undefined : oldest.timestamp + (oldest.delay ?? 0)
  return {
    ...answer,
    ...(since === undefined ? {} : { oldestMs: Math.max(0, Date.now() - since) }),
    ...(workers === undefined ? {} : { workers }),
  }
}

export function judgeQueue(answer: QueueAnswer, name: string, thresholds: QueueThresholds): ProbeResult {
  const { waiting, active, delayed, isPaused, oldestMs, workers } = answer
  const { status, mostWaiting, oldestMs: mostMs } = thresholds
  const count = (value: number): { value: number; unit: string } => ({ value, unit: 'count' })
  const observed = {
    queue: { value: name, unit: 'queue' },
    waiting: count(waiting),
    active: count(active),
    delayed: count(delayed),
    ...(oldestMs === undefined ? {} : { oldest: { value: Math.round(oldestMs), unit: 'ms' } }),
    ...(workers === undefined ? {} : { workers: count(workers) }),
  }
  const beyond = (code: string, reason: string): ProbeResult => ({
    status,
    code,
    cause: 'dependency',
    reason,
    observed,
  })
  if (waiting > 0 && isPaused) return beyond('queue_paused', 'jobs wait, and the queue is paused')
  if (waiting > 0 && workers === 0) return beyond('no_worker', 'jobs wait, and nobody is there to run them')
  if (mostMs > 0 && oldestMs !== undefined && oldestMs > mostMs)
    return beyond('waiting_too_long', 'the oldest job has waited for longer than it may')
  if (mostWaiting > 0 && waiting > mostWaiting) return beyond('too_many_waiting', 'more jobs wait than may')
  return { status: 'pass', observed }
}

function sick(code: string, reason: string): ProbeResult {
  return { status: 'fail', code, cause: 'dependency', reason }
}
