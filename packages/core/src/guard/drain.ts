// SIGTERM asks a service to leave in peace. Whoever handles the signal, health says at once that no more requests are wanted; and where
// the app handles it not at all, what is in flight is finished first, for a bounded time.
import { isMainThread } from 'node:worker_threads'
import { inFlight } from '../http/in-flight.ts'
import type { TaskEvent } from '../contracts/task.ts'
import { taskChannel } from '../tasks/channel.ts'
import { wrapMethod } from '../tasks/wrap-method.ts'
import { attempt } from './attempt.ts'

const LOOK_MS = 20
const MOST_TASKS = 100_000

export interface Drain {
  /** The process was asked to leave. */
  readonly isAsked: boolean
  /** Called at once when SIGTERM comes, before any handler. */
  onAsked(listener: () => void): void
  /**
   * `listen` adds the first listener of SIGTERM; from then on the drain knows of the signal before all listeners, without being one: libraries
   * count those, to know whether it is theirs to end the process. Node binds `process.emit` at that moment, and only then it is another one:
   * a frame of ours would stand in every stack of every listener of the process.
   */
  hear(listen: () => void): void
  /** Work that runs, and is no task: it is waited for like one. The returned function says that it is over. */
  hold(work: object): () => void
  /** Calls `leave`, with the milliseconds that it took, when nothing is in flight any more, now or later, and at the latest when the time is over; a second call is a second signal: it leaves now. */
  finish(leave: (tookMs: number) => void): void
}

/** What is waited for: requests, also those that still arrive; of tasks those that ran when the signal came, since a consumer would never come to an end. */
interface Open {
  readonly tasks: ReadonlySet<unknown>
  requests(): number
}

export function createDrain(boundMs: number, onError: (error: unknown) => void): Drain {
  const listeners: (() => void)[] = []
  const running = new Set<unknown>()
  let isAsked = false
  let isFinishing = false
  if (isMainThread && boundMs > 0) taskChannel.subscribe((event) => note(running, event as TaskEvent))
  return {
    get isAsked() {
      return isAsked
    },
    onAsked(listener) {
      listeners.push(listener)
    },
    hear(listen) {
      const replace = (original: Emit): Emit =>
        function emit(event, ...args) {
          if (event === 'SIGTERM' && !isAsked) {
            isAsked = true
            for (const listener of listeners) attempt(listener, onError)
          }
          return original.call(this, event, ...args)
        }
      const own = Object.getOwnPropertyDescriptor(process, 'emit')
      wrapMethod(process as unknown as { emit: Emit }, 'emit', replace, onError)
      try {
        listen()
      } finally {
        if (own) Object.defineProperty(process, 'emit', own)
        else Reflect.deleteProperty(process, 'emit')
      }
    },
    hold(work) {
      if (running.size < MOST_TASKS) running.add(work)
      return () => running.delete(work)
    },
    finish(leave) {
      if (isFinishing) return leave(0)
      isFinishing = true
      wait({ tasks: new Set(running), requests: () => inFlight.size }, running, boundMs, leave)
    },
  }
}

type Emit = (this: NodeJS.Process, event: string | symbol, ...args: unknown[]) => boolean

function note(running: Set<unknown>, { kind, taskId }: TaskEvent): void {
  if (kind === 'started') {
    if (running.size < MOST_TASKS) running.add(taskId)
  } else if (kind !== 'spawned' && kind !== 'confirmed' && kind !== 'heartbeat') running.delete(taskId)
}

/** The timer holds the process: an event loop that ran empty would end it with another exit code. */
function wait(open: Open, running: ReadonlySet<unknown>, boundMs: number, leave: (tookMs: number) => void): void {
  const from = performance.now()
  const isDone = (): boolean => open.requests() === 0 && ![...open.tasks].some((task) => running.has(task))
  if (boundMs <= 0 || isDone()) return leave(0)
  const timer = setInterval(() => {
    const tookMs = performance.now() - from
    if (!isDone() && tookMs < boundMs) return
    clearInterval(timer)
    leave(tookMs)
  }, LOOK_MS)
}
