// The main thread's end of the side thread: starts it when there is something to do, carries messages, answers for the metrics.
import { dirname, join } from 'node:path'
import { MessageChannel, Worker } from 'node:worker_threads'
import type { AdminSettings } from '../admin/server.ts'
import type { MetricFamily, SideService } from '../contracts/service.ts'
import type { SideLink } from '../core.ts'
import { requireKept } from '../code-cache.ts'
import { isSilenced, say } from '../diag.ts'
import { globalState } from '../global-state.ts'
import type { Place } from '../metrics/group/place.ts'
import { withoutTracing } from '../sdk/suppress.ts'
import { startHeartbeat } from './heartbeat.ts'
import { createInspectorGate, leaveThroughGate } from './inspector-gate.ts'
import type { runSide } from './main.ts'
import { SIDE_THREAD_MARK } from './mark.ts'
import { threadArgs } from './plug-n-play.ts'
import { SENT, type LastWords, type Port, type SideThreadData, type ToMain, type ToSide } from './protocol.ts'

export interface SideThreadSettings {
  readonly bundleDir: string
  readonly admin: AdminSettings
  readonly collect: () => Promise<readonly MetricFamily[]>
  /** Found when the thread starts, not before. */
  readonly place: () => Place | undefined
}

const MOST_HELD = 1_000
const MOST_RESTARTS = 3
const BESIDE_MS = 1_000
/** What the thread has just made. V8 would let it grow to the size that suits an app, and keep it: 100 MB more for as much work. */
const YOUNG_MB = 12

type Body = LastWords['bodies'][number]

export class SideThread {
  readonly #settings: SideThreadSettings
  readonly #entry: string
  readonly #services: SideService[] = []
  readonly #listeners = new Map<string, (message: unknown) => void>()
  #heartbeat: SharedArrayBuffer | undefined
  readonly #gate = createInspectorGate()
  #held: ToSide[] = []
  #port: Port<ToSide, ToMain> | undefined
  /** No thread could be had: the services run on this one. */
  #isHere = false
  #isAwake = false
  #restarts = 0
  #besideCame: ((families: readonly MetricFamily[]) => void)[] = []

  constructor(settings: SideThreadSettings) {
    this.#settings = settings
    this.#entry = join(settings.bundleDir, 'side-thread.js')
  }

  /** It was asked for: this process has something to do. */
  get isAwake(): boolean {
    return this.#isAwake
  }
  get hasServices(): boolean {
    return this.#services.length > 0
  }

  service(service: SideService, onMessage?: (message: unknown) => void): SideLink {
    this.#services.push(service)
    if (onMessage) this.#listeners.set(service.name, onMessage)
    return {
      post: (message) => {
        this.#send({ kind: 'service', name: service.name, message })
      },
    }
  }

  /** Cheap when called again; does nothing where no service was named. */
  wake(): void {
    if (this.#isAwake || this.#services.length === 0) return
    this.#isAwake = true
    // Not in the turn that woke it: starting a thread costs some milliseconds of this one.
    setImmediate(() => {
      this.#start()
    }).unref()
  }

  /** Blocks for at most `holdMs`; of each whether the collector took it. */
  lastWords(all: readonly Body[], holdMs: number): readonly boolean[] {
    const bodies = all.map(({ body, settings }) => ({ body, settings }))
    if (!this.#port || this.#isHere) return sendByOwnThread(this.#entry, bodies, holdMs)
    return waitFor(
      bodies.length,
      (done) => {
        this.#send({ kind: 'last-words', bodies, done })
      },
      holdMs,
    )
  }

  /** The process exits: no session of the inspector may be open then. */
  leave(): void {
    leaveThroughGate(this.#gate)
  }

  /** What the services of the side thread have counted; nothing where there is none, or it does not answer in time. */
  async familiesBeside(): Promise<readonly MetricFamily[]> {
    if (!this.#port) return []
    const answer = new Promise<readonly MetricFamily[]>((resolve) => {
      this.#besideCame.push(resolve)
    })
    this.#send({ kind: 'beside' })
    return Promise.race([answer, after(BESIDE_MS)])
  }

  #start(): void {
    this.#heartbeat ??= startHeartbeat()
    const { admin, place } = this.#settings
    const data: SideThreadData = {
      admin,
      services: this.#services,
      heartbeat: this.#heartbeat,
      gate: this.#gate,
      place: place(),
      isSilent: isSilenced(),
    }
    const hear = (message: ToMain): void => {
      this.#hear(message)
    }
    try {
      this.#port = startWorker(this.#entry, data, hear, (why) => {
        this.#ended(why)
      })
    } catch (error) {
      // No thread can be had (limits, --permission): everything runs on the main thread.
      const why = error instanceof Error ? error.message : String(error)
      say('AFS_SIDE_THREAD', `no side thread can be started (${why}): its work is done on the main thread.`)
      this.#isHere = true
      this.#port = startHere(this.#entry, data, hear)
    }
    for (const message of this.#held.splice(0)) this.#send(message)
  }

  #ended(why: string): void {
    this.#port = undefined
    if (this.#restarts++ >= MOST_RESTARTS) {
      say(
        'AFS_SIDE_THREAD',
        `the side thread has ended ${this.#restarts} times (${why}): metrics, health and the patrol of this process are off.`,
      )
      return
    }
    say('AFS_SIDE_THREAD', `the side thread has ended (${why}) and is started again.`)
    setTimeout(() => {
      this.#start()
    }, 1_000 * this.#restarts).unref()
  }

  #hear(message: ToMain): void {
    if (message.kind === 'service') this.#listeners.get(message.name)?.(message.message)
    else if (message.kind === 'beside') for (const came of this.#besideCame.splice(0)) came(message.families)
    else
      void this.#settings.collect().then((families) => {
        this.#send({ kind: 'families', families })
      })
  }

  #send(message: ToSide): void {
    try {
      if (this.#port) this.#port.postMessage(message)
      else if (this.#held.length < MOST_HELD) this.#held.push(message)
    } catch {
      // not plain data, or the thread has just ended: nothing that the app should hear of
    }
  }
}

function startWorker(
  entry: string,
  data: SideThreadData,
  hear: (message: ToMain) => void,
  ended: (why: string) => void,
): Port<ToSide, ToMain> {
  // A request may be what starts it: the thread is no work of that request.
  const worker = withoutTracing(
    () =>
      new Worker(entry, {
        workerData: marked(data),
        name: 'afterspan',
        execArgv: threadArgs(),
        trackUnmanagedFds: false,
        resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
      }),
  )
  let why = 'exit'
  worker.on('message', hear)
  worker.on('error', (error: Error) => {
    why = error.message
  })
  worker.on('exit', () => {
    ended(why)
  })
  // After the last listener: a listener on a worker's messages would hold the process.
  worker.unref()
  return worker
}

function startHere(entry: string, data: SideThreadData, hear: (message: ToMain) => void): Port<ToSide, ToMain> {
  const { port1, port2 } = new MessageChannel()
  const side = requireKept(join(dirname(entry), 'side-main.js')) as { runSide: typeof runSide }
  side.runSide(port2, data)
  port1.on('message', hear)
  port1.unref()
  port2.unref()
  return port1
}

/** Where no side thread is up: one for this alone. */
function sendByOwnThread(entry: string, bodies: LastWords['bodies'], holdMs: number): readonly boolean[] {
  return waitFor(
    bodies.length,
    (done) => {
      const words: LastWords = { kind: 'last-words', bodies, done }
      const worker = withoutTracing(() => new Worker(entry, { workerData: marked(words), execArgv: threadArgs() }))
      worker.on('error', () => {})
      worker.unref()
    },
    holdMs,
  )
}

function after(ms: number): Promise<readonly MetricFamily[]> {
  return new Promise((resolve) => {
    setTimeout(() => {
      resolve([])
    }, ms).unref()
  })
}

function marked(data: SideThreadData | LastWords): object {
  return { ...data, [SIDE_THREAD_MARK]: true, codeFlags: globalState().code?.flags }
}

function waitFor(bodies: number, send: (done: SharedArrayBuffer) => void, holdMs: number): readonly boolean[] {
  const done = new SharedArrayBuffer(4 * (bodies + 1))
  const flags = new Int32Array(done)
  Atomics.store(flags, 0, bodies)
  const until = performance.now() + holdMs
  try {
    send(done)
    for (let open = bodies; open > 0 && performance.now() < until; open = Atomics.load(flags, 0))
      Atomics.wait(flags, 0, open, Math.max(1, until - performance.now()))
  } catch {
    return []
  }
  return Array.from({ length: bodies }, (_, i) => Atomics.load(flags, i + 1) === SENT)
}
