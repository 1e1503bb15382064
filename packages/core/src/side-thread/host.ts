// The main thread's end of the side thread: starts it when there is something to do, carries messages, answers for the metrics.
import { join } from 'node:path'
import { MessageChannel, Worker } from 'node:worker_threads'
import type { AdminSettings } from '../admin/server.ts'
import type { MetricFamily, SideService } from '../contracts/service.ts'
import type { SideLink } from '../core.ts'
import { say } from '../diag.ts'
import { SIDE_THREAD_MARK } from '../preload-guard.ts'
import type { OtlpSettings } from '../sdk/otlp/settings.ts'
import { startHeartbeat } from './heartbeat.ts'
import type { runSide } from './main.ts'
import { SENT, type LastWords, type Port, type SideThreadData, type ToMain, type ToSide } from './protocol.ts'

export interface SideThread {
  service(service: SideService, onMessage?: (message: unknown) => void): SideLink
  /** Cheap when called again; does nothing where no service was named. */
  wake(): void
  /** Blocks for at most `holdMs`; whether the collector took the bytes. */
  lastWords(body: Uint8Array, settings: OtlpSettings, holdMs: number): boolean
}

const MOST_HELD = 1_000
const MOST_RESTARTS = 3

export function createSideThread(options: {
  readonly bundleDir: string
  readonly admin: AdminSettings
  readonly collect: () => Promise<readonly MetricFamily[]>
}): SideThread {
  const entry = join(options.bundleDir, 'side-thread.js')
  const services: SideService[] = []
  const listeners = new Map<string, (message: unknown) => void>()
  let held: ToSide[] = []
  let port: Port<ToSide, ToMain> | undefined
  let isAwake = false
  let restarts = 0

  function hear(message: ToMain): void {
    if (message.kind === 'service') listeners.get(message.name)?.(message.message)
    else
      void options.collect().then((families) => {
        post({ kind: 'families', families })
      })
  }
  function post(message: ToSide): void {
    try {
      if (port) port.postMessage(message)
      else if (held.length < MOST_HELD) held.push(message)
    } catch {
      // not plain data, or the thread has just ended: nothing that the app should hear of
    }
  }
  function start(): void {
    const data: SideThreadData = { admin: options.admin, services, heartbeat: startHeartbeat() }
    try {
      port = startWorker(entry, data, hear, (why) => {
        port = undefined
        if (restarts++ < MOST_RESTARTS) {
          say('AFS_SIDE_THREAD', `the side thread has ended (${why}) and is started again.`)
          setTimeout(start, 1_000 * restarts).unref()
        } else
          say(
            'AFS_SIDE_THREAD',
            `the side thread has ended ${restarts} times (${why}): metrics, health and the patrol of this process are off.`,
          )
      })
    } catch (error) {
      // No thread can be had (limits, --permission): everything runs on the main thread.
      const why = error instanceof Error ? error.message : String(error)
      say('AFS_SIDE_THREAD', `no side thread can be started (${why}): its work is done on the main thread.`)
      port = startHere(entry, data, hear)
    }
    const waiting = held
    held = []
    for (const message of waiting) post(message)
  }

  return {
    service(service, onMessage) {
      services.push(service)
      if (onMessage) listeners.set(service.name, onMessage)
      return {
        post: (message) => {
          post({ kind: 'service', name: service.name, message })
        },
      }
    },
    wake() {
      if (isAwake || services.length === 0) return
      isAwake = true
      // Not in the turn that woke it: starting a thread costs some milliseconds of this one.
      setImmediate(start).unref()
    },
    lastWords(body, settings, holdMs) {
      return port
        ? waitFor((done) => {
            post({ kind: 'last-words', body, settings, done })
          }, holdMs)
        : sendByOwnThread(entry, body, settings, holdMs)
    },
  }
}

function startWorker(
  entry: string,
  data: SideThreadData,
  hear: (message: ToMain) => void,
  ended: (why: string) => void,
): Port<ToSide, ToMain> {
  const worker = new Worker(entry, {
    workerData: { ...data, [SIDE_THREAD_MARK]: true },
    name: 'afterspan',
    execArgv: [],
    trackUnmanagedFds: false,
  })
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
  ;(require(entry) as { runSide: typeof runSide }).runSide(port2, data)
  port1.on('message', hear)
  port1.unref()
  port2.unref()
  return port1
}

/** Where no side thread is up: one for this alone. */
function sendByOwnThread(entry: string, body: Uint8Array, settings: OtlpSettings, holdMs: number): boolean {
  return waitFor((done) => {
    const words: LastWords = { kind: 'last-words', body, settings, done }
    const worker = new Worker(entry, { workerData: { ...words, [SIDE_THREAD_MARK]: true }, execArgv: [] })
    worker.on('error', () => {})
    worker.unref()
  }, holdMs)
}

function waitFor(send: (done: SharedArrayBuffer) => void, holdMs: number): boolean {
  const done = new SharedArrayBuffer(4)
  const flag = new Int32Array(done)
  try {
    send(done)
    Atomics.wait(flag, 0, 0, holdMs)
  } catch {
    return false
  }
  return Atomics.load(flag, 0) === SENT
}
